import Testing

@testable import JOSE

@Suite("Hashes and what is made of them")
struct HashTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let key, message, code: [UInt8]
        let testDescription: String
    }

    static let rfc4231: [Example] = try! Vector.json("RFC4231.json").array!.enumerated().map { index, value in
        func field(_ name: String) -> [UInt8] { hex(value.object![name]!.string!) }
        return Example(
            key: field("key"), message: field("message"), code: field("code"), testDescription: "example \(index + 1)")
    }

    @Test("HMAC-SHA-256 gives the codes of RFC 4231", arguments: rfc4231)
    func authenticationCode(_ example: Example) throws {
        let code = try HMACSHA256.authenticationCode(for: example.message, key: SecretBytes(example.key))
        #expect(code == example.code)
    }

    @Test("HMAC-SHA-256 takes an empty message and an empty key")
    func emptyAuthenticationCode() throws {
        let code = try HMACSHA256.authenticationCode(for: [], key: SecretBytes([]))
        #expect(code == hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"))
    }

    @Test("HKDF gives the key of RFC 5869 A.3")
    func derivedKey() throws {
        let secret = SecretBytes([UInt8](repeating: 0x0B, count: 22))
        let expected = hex(
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
        #expect(try HKDF.key(from: secret, info: "", count: 42).withBytes { Array($0) } == expected)
        #expect(try HKDF.key(from: secret, info: "").withBytes { Array($0) } == Array(expected.prefix(32)))
    }

    @Test("HKDF gives another key for another purpose or secret")
    func purposes() throws {
        func key(_ secret: [UInt8], _ info: String) throws -> [UInt8] {
            try HKDF.key(from: SecretBytes(secret), info: info).withBytes { Array($0) }
        }
        let keys = [try key([1], "a"), try key([1], "b"), try key([1], "ab"), try key([2], "a"), try key([1], "")]
        #expect(Set(keys).count == keys.count)
        #expect(try key([1], "a") == keys[0])
    }

    @Test("HKDF refuses more than 255 hashes")
    func excess() {
        #expect(throws: JOSEError.of(.openSSL)) { try HKDF.key(from: SecretBytes([1]), info: "", count: 255 * 32 + 1) }
    }

    @Test(
        "SHA-256 gives the examples of FIPS 180",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func hash(_ message: String, _ expected: String) throws {
        #expect(try SHA256.hash(bytes(message)) == hex(expected))
    }

    @Test("random bytes are as many as asked for, and others each time", arguments: [0, 1, 32, 1000])
    func random(_ count: Int) throws {
        #expect(try randomBytes(count).count == count)
        if count >= 32 { #expect(try randomBytes(count) != randomBytes(count)) }
    }
}
