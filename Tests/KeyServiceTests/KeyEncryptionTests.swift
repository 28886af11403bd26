import Foundation
import JOSE
import Testing

@testable import KeyService

@Suite("A key at rest")
struct KeyEncryptionTests {
    /// What the openssl command answers.
    private static func openssl(_ arguments: String...) throws -> (status: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    /// Runs a test over the paths of a key's file and of a master secret file that the key was made under.
    private static func withKey(
        _ algorithm: Algorithm, _ body: (_ key: String, _ secret: String) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let secret = folder + "/master.secret"
            _ = try MasterSecret.create(file: secret)
            let store = try FolderKeyStore(path: folder + "/keys", secret: MasterSecret(file: secret))
            try await store.start(.test { $0.algorithms = [algorithm] }, at: at(0))
            try await body(keyFiles(in: folder + "/keys")[0], secret)
        }
    }

    @Test("is opened by the openssl command with the master secret file", arguments: [Algorithm.es256, .rs256, .edDSA])
    func opened(_ algorithm: Algorithm) async throws {
        try await Self.withKey(algorithm) { key, secret in
            let answer = try Self.openssl("pkey", "-in", key, "-passin", "file:" + secret, "-noout")
            #expect(answer.status == 0, "\(answer.text)")
        }
    }

    @Test("is opened by no other secret")
    func notOpened() async throws {
        try await Self.withKey(.es256) { key, _ in
            let answer = try Self.openssl("pkey", "-in", key, "-passin", "pass:" + MasterSecret.line("b"), "-noout")
            #expect(answer.status != 0)
        }
    }

    @Test("is PKCS#8 under AES-256 and PBKDF2 with 2048 rounds")
    func encryption() async throws {
        try await Self.withKey(.es256) { key, _ in
            let text = try String(contentsOfFile: key, encoding: .utf8)
            #expect(text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"))
            let structure = try Self.openssl("asn1parse", "-in", key).text
            for part in ["PBES2", "PBKDF2", "INTEGER           :0800", "hmacWithSHA256", "aes-256-cbc"] {
                #expect(structure.contains(part), "\(structure)")
            }
        }
    }

    @Test("shows nothing of its private half in the record before it")
    func record() async throws {
        try await Self.withKey(.es256) { key, secret in
            let text = try String(contentsOfFile: key, encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.contains("{") })
            let members = try JSONObject(json: String(line[line.firstIndex(of: "{")!...]).utf8)
            #expect(members["public_key"]?.object?["d"] == nil)
            let secretLine = try String(contentsOfFile: secret, encoding: .utf8).dropLast()
            #expect(!text.contains(secretLine))
        }
    }

    // MARK: Changing the master secret

    @Test(
        "is opened by any line of the master secret",
        arguments: [["a", "b"], ["b", "a"], ["b", "c", "a"]] as [[Character]])
    func lines(_ letters: [Character]) async throws {
        try await withKeyFolder { store, path in
            let first = try #require(try await store.contents().records.first)
            let text = letters.map(MasterSecret.line).joined(separator: "\n")
            let other = try FolderKeyStore(path: path, secret: MasterSecret(text: text))
            let key = try await other.privateKey(of: first)
            #expect(key.publicKey == first.publicKey)
            let second = try await other.rotate(at: at(1))
            #expect(try await other.privateKey(of: second).publicKey == second.publicKey)
            let contents = try await other.contents()
            #expect(contents.records.count == 2)
            #expect(contents.damaged.isEmpty)
        }
    }

    @Test("that is made after a line was promoted needs only that line")
    func promoted() async throws {
        try await withKeyFolder { store, path in
            let promoted = try FolderKeyStore(path: path, secret: .test("b", "a"))
            let second = try await promoted.rotate(at: at(1))
            let alone = try FolderKeyStore(path: path, secret: .test("b"))
            let contents = try await alone.contents()
            #expect(contents.records.map(\.keyID) == [second.keyID])
            #expect(contents.damaged.count == 1)
        }
    }

    @Test("is encrypted anew under the first line, which then is enough")
    func reencrypt() async throws {
        try await withKeyFolder { store, path in
            try await store.rotate(at: at(1))
            let foreign = try verifyOnlyRecord(until: at(9000))
            try await store.change { _ in ([.add(foreign, nil)], ()) }
            let both = try FolderKeyStore(path: path, secret: .test("b", "a"))
            #expect(try await both.reencrypt() == 2)
            let alone = try FolderKeyStore(path: path, secret: .test("b"))
            let contents = try await alone.contents()
            #expect(contents.records.count == 3)
            #expect(contents.damaged.isEmpty)
            for record in contents.records where record.hasPrivateKey {
                #expect(try await alone.privateKey(of: record).publicKey == record.publicKey)
            }
            await #expect(throws: KeyServiceError.self) { try await store.contents() }
        }
    }

    @Test("beside a damaged one is encrypted anew all the same, and the damaged one is named")
    func reencryptDamaged() async throws {
        try await withKeyFolder { store, path in
            let second = try await store.rotate(at: at(1))
            let damaged = try #require(try keyFiles(in: path).first { !$0.contains(second.keyID.rawValue) })
            try Data().write(to: URL(fileURLWithPath: damaged))
            let both = try FolderKeyStore(path: path, secret: .test("b", "a"))
            let error = await #expect(throws: KeyServiceError.self) { try await both.reencrypt() }
            #expect(error?.reason.contains(damaged) == true)
            let alone = try FolderKeyStore(path: path, secret: .test("b"))
            #expect(try await alone.privateKey(of: second).publicKey == second.publicKey)
        }
    }

    @Test("under another master secret stops every change, and nothing is made")
    func wrongSecret() async throws {
        try await withKeyFolder { store, path in
            let files = try keyFiles(in: path).map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
            let other = try FolderKeyStore(path: path, secret: .test("b"))
            let starting = await #expect(throws: KeyServiceError.self) { try await other.start(at: at(1)) }
            let rotating = await #expect(throws: KeyServiceError.self) { try await other.rotate(at: at(1)) }
            for error in [starting, rotating] {
                #expect(error?.code == .masterSecret)
                #expect(error?.reason.contains("bbbb") == false)
            }
            let after = try keyFiles(in: path).map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
            #expect(after == files)
            #expect(try await store.contents().damaged.isEmpty)
        }
    }
}
