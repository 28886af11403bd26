import Foundation
import JOSE
import Testing

@testable import TokenVerifier

@Suite("A status list")
struct StatusListTests {
    /// The examples of the Token Status List draft, sections 4.1, 4.2 and appendix C.
    struct Example: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let bits: Int
        let size: Int
        /// Index and value of what isn't zero.
        let statuses: [[Int]]
        let lst: String

        var testDescription: String { name }

        static let all: [Example] = {
            let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Vectors/StatusList.json")
            return try! JSONDecoder().decode([Example].self, from: Data(contentsOf: file))
        }()
    }

    @Test("of the draft decodes to the statuses that it has", arguments: Example.all)
    func decodes(_ example: Example) throws {
        let list = try StatusList(["bits": .integer(Int64(example.bits)), "lst": .string(example.lst)])
        #expect(list.count == example.size)
        let expected = Dictionary(uniqueKeysWithValues: example.statuses.map { ($0[0], UInt8($0[1])) })
        let found = (0..<list.count).filter { list[$0] != 0 }.map { ($0, list[$0]) }
        #expect(Dictionary(uniqueKeysWithValues: found) == expected)
    }

    @Test("of the draft is encoded from its statuses, to bytes that say the same", arguments: Example.all)
    func encodes(_ example: Example) throws {
        var list = StatusList(bits: example.bits, count: example.size)
        for status in example.statuses { list[status[0]] = UInt8(status[1]) }
        // How well ZLIB compresses is its own affair, what comes out again isn't.
        #expect(
            try StatusList(list.members) == StatusList(["bits": list.members["bits"]!, "lst": .string(example.lst)]))
        #expect(try StatusList(list.members) == list)
    }

    @Test("sets and clears a status without touching its neighbours", arguments: [1, 2, 4, 8])
    func sets(bits: Int) {
        var list = StatusList(bits: bits, count: 64)
        let highest = UInt8((1 << bits) - 1)
        for index in 0..<64 { list[index] = highest }
        list[13] = 0
        #expect((0..<64).filter { list[$0] == 0 } == [13])
        list[13] = 1
        #expect(list[13] == 1)
        #expect(list[12] == highest && list[14] == highest)
    }

    @Test(
        "that isn't one is refused",
        arguments: [
            ["bits": 3, "lst": "eNrbuRgAAhcBXQ"], ["bits": "1", "lst": "eNrbuRgAAhcBXQ"], ["lst": "eNrbuRgAAhcBXQ"],
            ["bits": 1], ["bits": 1, "lst": ""], ["bits": 1, "lst": "AAAA"], ["bits": 1, "lst": "eNrbuRgAAhcB"],
            ["bits": 1, "lst": "eNrbuRgAAhcBXQ=="], ["bits": 1, "lst": "eNrbuRgAAhcBXQAA"],
        ] as [JSONObject])
    func refuses(members: JSONObject) {
        #expect(throws: JOSEError.self) { try StatusList(members) }
    }

    @Test("that unpacks to more than the bound is refused")
    func bomb() throws {
        let members = StatusList(count: 64 * 1024 * 8).members
        #expect(throws: JOSEError.self) { try StatusList(members, maximumSize: 64 * 1024 - 1) }
        #expect(try StatusList(members, maximumSize: 64 * 1024).count == 64 * 1024 * 8)
    }
}
