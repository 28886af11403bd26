import Foundation
import JOSE
import Testing

@testable import KeyService

extension MasterSecret {
    /// A line of 64 letters.
    static func line(_ letter: Character) -> String { String(repeating: letter, count: 64) }

    static func test(_ letters: Character...) throws -> MasterSecret {
        try MasterSecret(text: letters.map(line).joined(separator: "\n") + "\n")
    }
}

@Suite("A master secret")
struct MasterSecretTests {
    private static let line = MasterSecret.line("a")

    private static func lines(of secret: MasterSecret) -> [String] {
        secret.lines.map { $0.withBytes { String(decoding: $0, as: UTF8.self) } }
    }

    @Test(
        "is the lines of its file",
        arguments: [
            (line, 1), (line + "\n", 1), (line + "\n\n\n", 1), (line + "\n" + MasterSecret.line("b"), 2),
            (line + "\n" + MasterSecret.line("b") + "\n", 2), (String(repeating: "x", count: 32), 1),
            (String(repeating: "x", count: 1000), 1), ("!\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~", 1),
            (String(repeating: line + "\n", count: 16), 16),
        ])
    func lines(_ text: String, _ count: Int) throws {
        let secret = try MasterSecret(text: text)
        #expect(Self.lines(of: secret) == text.split(separator: "\n").map(String.init))
        #expect(secret.lines.count == count)
    }

    @Test(
        "is refused where it isn't one",
        arguments: [
            "", "\n", "\n\n", String(repeating: "x", count: 31), "short\n" + line, line + "\nshort", "\n" + line,
            line + "\n\n" + line, line + "\r\n", line + "\r", line + "\r\n" + line, line + " ", " " + line,
            line + "\t", line + "\0", line + "é", "日本" + line, line + "\u{7F}", String(repeating: "x", count: 1001),
            String(repeating: line + "\n", count: 17),
        ])
    func refused(_ text: String) {
        let error = #expect(throws: KeyServiceError.self) { try MasterSecret(text: text) }
        #expect(error?.code == .masterSecret)
        #expect(error?.reason.contains(Self.line) == false)
    }

    @Test("is never shown")
    func description() throws {
        let secret = try MasterSecret(text: Self.line)
        var dump = ""
        Swift.dump(secret, to: &dump)
        #expect(!"\(secret) \(dump)".contains("aaaa"))
    }

    // MARK: Files

    @Test("is made readable by its owner only: 32 random bytes in hexadecimal")
    func create() async throws {
        try await withFolder { folder in
            let path = folder + "/master.secret"
            #expect(try MasterSecret.create(file: path))
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text.wholeMatch(of: /[0-9a-f]{64}\n/) != nil)
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
            #expect(try Self.lines(of: MasterSecret(file: path)) == [String(text.dropLast())])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["master.secret"])
        }
    }

    @Test("is never written over", arguments: ["", "mine"])
    func existing(_ text: String) async throws {
        try await withFolder { folder in
            let path = folder + "/master.secret"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            #expect(try !MasterSecret.create(file: path))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["master.secret"])
        }
    }

    @Test("is made once by many at once")
    func atOnce() async throws {
        try await withFolder { folder in
            let made = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 { group.addTask { try MasterSecret.create(file: folder + "/master.secret") } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(made == 1)
        }
    }

    @Test("that can't be made or read says where", arguments: ["missing/master.secret", "folder"])
    func unreadable(_ name: String) async throws {
        try await withFolder { folder in
            let path = folder + "/" + name
            try FileManager.default.createDirectory(atPath: folder + "/folder", withIntermediateDirectories: true)
            let reading = #expect(throws: KeyServiceError.self) { try MasterSecret(file: path) }
            #expect(reading?.code == .masterSecret)
            #expect(reading?.reason.contains(path) == true)
            #expect(reading?.reason.contains("Success") == false)
            if name != "folder" {
                let making = #expect(throws: KeyServiceError.self) { try MasterSecret.create(file: path) }
                #expect(making?.code == .storage)
            }
        }
    }

    @Test(
        "in a file that isn't text, or is too long, is refused",
        arguments: [[0xFF, 0xFE], [UInt8](repeating: 0x61, count: 20_000)])
    func notText(_ bytes: [UInt8]) async throws {
        try await withFolder { folder in
            try Data(bytes).write(to: URL(fileURLWithPath: folder + "/master.secret"))
            let error = #expect(throws: KeyServiceError.self) { try MasterSecret(file: folder + "/master.secret") }
            #expect(error?.code == .masterSecret)
        }
    }

    @Test("gives another key for each purpose and line")
    func purposes() throws {
        let secret = try MasterSecret.test("a", "b")
        let keys = try secret.keys(for: "one") + secret.keys(for: "two")
        #expect(Set(keys.map { $0.withBytes { Array($0) } }).count == 4)
    }
}
