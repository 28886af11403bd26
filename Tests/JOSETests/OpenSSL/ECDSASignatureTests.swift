import Testing

@testable import JOSE

@Suite("An ECDSA signature in DER")
struct ECDSASignatureTests {
    /// r and s side by side, and as OpenSSL spells them.
    static let examples: [(String, String)] = [
        ("0102", "3006020101020102"), ("7f01", "300602017f020101"),
        // The highest bit would be a sign.
        ("80ff", "300802020080020200ff"),
        // Zero has a digit, though it is no signature's number.
        ("0000", "3006020100020100"),
        ("00010203", "300702010102020203"), ("00800080", "30080202008002020080"),
        ("ff00000000000001", "300a020500ff000000020101"),
    ]

    @Test("is r and s as integers of their shortest form", arguments: examples)
    func spelling(_ numbers: String, _ der: String) throws {
        let numbers = hex(numbers)
        #expect(try ECDSASignature.der(fromConcatenated: numbers, coordinateSize: numbers.count / 2) == hex(der))
        #expect(
            try ECDSASignature.concatenated(fromDER: hex(der)[...], coordinateSize: numbers.count / 2) == numbers)
    }

    @Test("has a length of two bytes where it is over 127")
    func longLength() throws {
        let numbers = [UInt8](repeating: 0x81, count: 132)
        let der = try ECDSASignature.der(fromConcatenated: numbers, coordinateSize: 66)
        #expect(Array(der.prefix(6)) == hex("30818a024300"))
        #expect(der.count == 3 + 0x8A)
        #expect(try ECDSASignature.concatenated(fromDER: der[...], coordinateSize: 66) == numbers)
    }

    @Test(
        "isn't taken cut short, with something behind it, or with numbers that are too long",
        arguments: [
            "", "30", "3006", "300602", "300602010102", "30060201010201", "300602010102010200", "3106020101020102",
            "3006030101020102", "3006020101030102", "3005020101020102", "3007020101020102", "30050200020102",
            "300702020101020101", "300702010102020101", "30820006020101020102", "3006020901020102",
            "30800201010201020000",
        ])
    func malformed(_ text: String) {
        #expect(throws: JOSEError.of(.openSSL)) {
            try ECDSASignature.concatenated(fromDER: hex(text)[...], coordinateSize: 1)
        }
    }
}
