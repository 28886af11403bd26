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

}
