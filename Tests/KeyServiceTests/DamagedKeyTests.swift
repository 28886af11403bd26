import Foundation
import JOSE
import Testing

@testable import KeyService

@Suite("A damaged key file")
struct DamagedKeyTests {
    enum Damage: String, CaseIterable {
        case recordBit, codeBit, firstLabel, secondLabel, truncatedRecord, truncatedCode, noPEM, empty, foreign, notUTF8
        case otherName, folder

        /// Damages the file at `path`; `other` is a sound one.
        func apply(to path: String, other: String) throws {
            var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            let record = try #require(bytes.firstIndex(of: UInt8(ascii: "{")))
            let code = try #require(bytes.firstIndex(of: UInt8(ascii: "\n"))) + 1
            switch self {
            case .recordBit: bytes[record + 40] ^= 1
            case .codeBit: bytes[code + 30] ^= 2
            case .firstLabel: bytes[0] ^= 1
            case .secondLabel: bytes[code] ^= 1
            case .truncatedRecord: bytes = Array(bytes.prefix(record + 50))
            case .truncatedCode: bytes = Array(bytes.prefix(code + 30))
            case .noPEM:
                bytes = Array(bytes.prefix(try #require(bytes.firstRange(of: Array("-----BEGIN".utf8))).lowerBound))
            case .empty: bytes = []
            case .foreign: bytes = Array(try PrivateKey.generate(for: .es256).pkcs8PEM().utf8)
            case .notUTF8: bytes[record + 40] = 0xFF
            case .otherName: bytes = Array(try Data(contentsOf: URL(fileURLWithPath: other)))
            case .folder:
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
                return
            }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        }
    }

    @Test("is told by its name, and takes no other down", arguments: Damage.allCases)
    func named(_ damage: Damage) async throws {
        try await withKeyFolder { store, path in
            let first = try #require(try await store.contents().records.first)
            let second = try await store.rotate(at: at(1))
            let damaged = "\(path)/\(first.keyID).pem"
            try damage.apply(to: damaged, other: "\(path)/\(second.keyID).pem")
            let contents = try await store.contents()
            if damage == .noPEM {
                // The record is whole: the key stays published, and only fails to sign.
                #expect(contents.records.count == 2)
                let error = await #expect(throws: KeyServiceError.self) { try await store.privateKey(of: first) }
                #expect(error?.reason.contains(damaged) == true)
            } else {
                #expect(contents.records.map(\.keyID) == [second.keyID])
                #expect(contents.damaged.map(\.name) == [damaged])
            }
            #expect(try await store.privateKey(of: second).publicKey == second.publicKey)
            try await store.rotate(at: at(2))
        }
    }

    @Test("with its private half damaged stays published, and is told by its name when it is opened", arguments: 0..<24)
    func privateHalf(_ number: Int) async throws {
        try await withKeyFolder { store, path in
            let record = try #require(try await store.contents().records.first)
            let damaged = try keyFiles(in: path)[0]
            var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: damaged)))
            let pem = try #require(bytes.firstRange(of: Array("-----BEGIN".utf8))).lowerBound
            let offset = pem + (bytes.count - pem - 2) * number / 23
            bytes[offset] = bytes[offset] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            try Data(bytes).write(to: URL(fileURLWithPath: damaged))
            let contents = try await store.contents()
            #expect(contents.records.map(\.keyID) == [record.keyID])
            #expect(contents.records.map(\.hasPrivateKey) == [true])
            do {
                // Some bits don't matter: the padding, the salt's encoding.
                #expect(try await store.privateKey(of: record).publicKey == record.publicKey)
            } catch let error as KeyServiceError {
                #expect(error.reason.contains(damaged))
            }
        }
    }

    @Test("with another key's private half is refused")
    func swapped() async throws {
        try await withKeyFolder { store, path in
            let first = try #require(try await store.contents().records.first)
            let second = try await store.rotate(at: at(1))
            func parts(_ record: KeyRecord) throws -> (head: String, pem: String) {
                let text = try String(contentsOfFile: "\(path)/\(record.keyID).pem", encoding: .utf8)
                let start = try #require(text.range(of: "-----BEGIN")).lowerBound
                return (String(text[..<start]), String(text[start...]))
            }
            let mixed = try parts(first).head + parts(second).pem
            try Data(mixed.utf8).write(to: URL(fileURLWithPath: "\(path)/\(first.keyID).pem"))
            let error = await #expect(throws: KeyServiceError.self) { try await store.privateKey(of: first) }
            #expect(error?.reason.contains(first.keyID.rawValue) == true)
        }
    }

    @Test("is never written over, so that a revoked key can't come back through it")
    func notOverwritten() async throws {
        try await withKeyFolder { store, path in
            let key = try PrivateKey.generate(for: .es256)
            let planner = KeyPlanner(schedule: .test)
            let imported = try planner.importing(
                JWK(key), activateAt: nil, await store.contents(), at: at(1))
            try await store.change { _ in ([imported], ()) }
            let damaged = "\(path)/\(imported.keyID).pem"
            try Data("damaged".utf8).write(to: URL(fileURLWithPath: damaged))
            let again = try planner.importing(JWK(key), activateAt: nil, await store.contents(), at: at(2))
            let error = await #expect(throws: KeyServiceError.self) { try await store.change { _ in ([again], ()) } }
            #expect(error?.reason.contains(damaged) == true)
            #expect(try String(contentsOfFile: damaged, encoding: .utf8) == "damaged")
        }
    }

    @Test("that is the only one stops every change, and nothing is made")
    func only() async throws {
        try await withKeyFolder { store, path in
            try Data().write(to: URL(fileURLWithPath: keyFiles(in: path)[0]))
            let error = await #expect(throws: KeyServiceError.self) { try await store.start(at: at(1)) }
            #expect(error?.reason.contains(path) == true)
            #expect(try keyFiles(in: path).count == 1)
        }
    }
}
