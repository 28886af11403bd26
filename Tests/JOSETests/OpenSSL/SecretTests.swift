import Testing

@testable import JOSE

@Suite("A random name")
struct RandomNameTests {
    @Test("is 16 bytes in base64url, and nobody else's, whoever asks")
    func unique() async throws {
        let names = RandomNames()
        let drawn = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<8 { group.addTask { try (0..<300).map { _ in try names.next() } } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(drawn).count == 2400)
        #expect(try drawn.allSatisfy { try Base64URL.decode($0).count == 16 })
    }
}

@Suite("A secret")
struct SecretTests {
    @Test("is lent, and is what was put in", arguments: [0, 1, 32, 5000])
    func lent(_ count: Int) throws {
        let content = try randomBytes(count)
        let secret = SecretBytes(content)
        #expect(secret.count == count)
        #expect(secret.withBytes { Array($0) } == content)
    }

    @Test("is made of any collection of bytes")
    func collections() {
        #expect(SecretBytes("héllo".utf8).withBytes { Array($0) } == bytes("héllo"))
        #expect(SecretBytes([1, 2, 3].lazy.map { UInt8($0) }).withBytes { Array($0) } == [1, 2, 3])
        #expect(SecretBytes([9, 8, 7][1...]).withBytes { Array($0) } == [8, 7])
    }

    @Test("of bytes shows nothing of them")
    func shownBytes() {
        let secret = SecretBytes(bytes("hunter2!"))
        for text in shown(secret) {
            #expect(text.contains("(secret)"))
            #expect(!text.contains("hunter2") && !text.contains("0x"))
        }
        #expect(Mirror(reflecting: secret).children.isEmpty)
    }

    @Test("of a key shows nothing of it", arguments: SampleKey.all)
    func shownKey(_ sample: SampleKey) throws {
        for text in shown(sample.privateKey) {
            #expect(text.contains("(private key)"))
            #expect(!text.contains("0x") && !text.contains("EVPKey"))
        }
        #expect(Mirror(reflecting: sample.privateKey).children.isEmpty)
    }

    @Test("of a key isn't shown by what holds the key", arguments: SampleKey.all)
    func shownHolder(_ sample: SampleKey) throws {
        let half = try #require(try sample.privateMembers()["d"]?.string)
        for text in shown(JWK(sample.privateKey)) { #expect(!text.contains(half)) }
    }

    private func shown(_ value: some Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return ["\(value)", String(reflecting: value), dumped]
    }

    @Test(
        "is compared byte by byte",
        arguments: [
            ([], [], true), ([1], [1], true), ([1, 2], [1, 2], true), ([1], [2], false), ([1], [1, 1], false),
            ([], [0], false), ([0, 1], [1, 0], false), ([255], [254], false),
        ] as [([UInt8], [UInt8], Bool)])
    func comparison(_ left: [UInt8], _ right: [UInt8], _ equal: Bool) {
        #expect(constantTimeEquals(left, right) == equal)
        #expect(constantTimeEquals(right, left) == equal)
    }
}
