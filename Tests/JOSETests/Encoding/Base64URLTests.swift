import Testing

@testable import JOSE

@Suite("Base64url")
struct Base64URLTests {
    @Test(
        "spells the examples of RFC 4648 section 10, without padding",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func examples(_ text: String, _ spelling: String) throws {
        #expect(Base64URL.encode(bytes(text)) == spelling)
        #expect(try Base64URL.decode(spelling) == bytes(text))
    }

    @Test("spells the example of RFC 7515 appendix C")
    func alphabet() throws {
        #expect(Base64URL.encode([3, 236, 255, 224, 193]) == "A-z_4ME")
        #expect(try Base64URL.decode("A-z_4ME") == [3, 236, 255, 224, 193])
    }

    @Test("comes back, whatever the length", arguments: 0..<70)
    func roundTrip(_ count: Int) throws {
        let content = try randomBytes(count)
        #expect(try Base64URL.decode(Base64URL.encode(content)) == content)
    }

    @Test("is refused with padding", arguments: ["Zg==", "Zg=", "Zm8=", "Zm9v=", "=", "====", "Z=g="])
    func padding(_ text: String) { expectMalformed(text) }

    @Test(
        "is refused with other letters",
        arguments: ["Zm+v", "Zm/v", "Zm 9v", " Zm9v", "Zm9v\n", "Zm\r\n9v", "Zm9\0", "Zm9é", "Zm.v", "Ｚm9v"])
    func letters(_ text: String) { expectMalformed(text) }

    @Test("is refused with an impossible length", arguments: ["Z", "Zm9vZ", "Zm9vZm9vZ"])
    func length(_ text: String) { expectMalformed(text) }

    @Test("is refused with trailing bits", arguments: ["Zh", "Z_", "Zm9", "Zm-", "Zm9vYh", "AB", "AAB"])
    func trailingBits(_ text: String) { expectMalformed(text) }

    @Test("has one spelling for each byte")
    func oneSpelling() {
        let letters = bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var accepted = 0
        for first in letters {
            for second in letters where (try? Base64URL.decode([first, second])) != nil { accepted += 1 }
        }
        #expect(accepted == 256)
    }

    @Test("refuses every byte outside the alphabet")
    func everyByte() {
        let accepted = (UInt8.min...UInt8.max).filter { (try? Base64URL.decode([$0, $0, $0, $0])) != nil }
        #expect(accepted.count == 64)
    }

    private func expectMalformed(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(throws: JOSEError.of(.malformed), sourceLocation: sourceLocation) { try Base64URL.decode(text) }
    }
}
