import Testing

@testable import JOSE

@Suite("The compact form of a token")
struct JWSFormTests {
    static let header = Base64URL.encode(bytes(#"{"alg":"ES256"}"#))

    private func expectMalformed(_ token: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(throws: JOSEError.of(.malformed), sourceLocation: sourceLocation) { try JWS(compact: token) }
    }

    @Test(
        "has three parts",
        arguments: [
            "", ".", "\(header)", "\(header).e30", "\(header).e30.AA.", "\(header).e30.AA.AA.AA", "....", ".....",
        ])
    func parts(_ token: String) { expectMalformed(token) }

    @Test("has a header", arguments: ["..", ".e30.AA", ".."])
    func emptyHeader(_ token: String) { expectMalformed(token) }

    @Test("may have an empty payload (RFC 7515 appendix F)", arguments: SampleKey.all)
    func emptyPayload(_ sample: SampleKey) throws {
        let token = try Forge.token(
            header: "{\"alg\":\"\(sample.algorithm)\"}", payload: "", key: sample.privateKey,
            algorithm: sample.algorithm)
        let jws = try JWS(compact: token)
        try jws.verify(with: JWK(sample.publicKey))
        #expect(jws.payload.isEmpty)
    }

    @Test("with an empty signature is refused by every key", arguments: SampleKey.all)
    func emptySignature(_ sample: SampleKey) throws {
        let parts = Forge.parts(try Forge.token(of: sample))
        #expect(throws: JOSEError.of(.signatureInvalid)) {
            try JWS(compact: "\(parts[0]).\(parts[1]).").verify(with: JWK(sample.publicKey))
        }
    }

    @Test(
        "has no padding, white space or letters of another alphabet in any part", arguments: 0..<3,
        ["=", "==", " ", "\n", "\t", "+", "/", "%", "\0", "é"])
    func letters(_ part: Int, _ letter: String) throws {
        var parts = Forge.parts(try Forge.token(of: .p256))
        for changed in [parts[part] + letter, letter + parts[part]] {
            parts[part] = changed
            expectMalformed(parts.joined(separator: "."))
        }
    }

    @Test("has no trailing bits in any part", arguments: 0..<3)
    func trailingBits(_ part: Int) throws {
        // One byte and two bytes too many leave bits over; a part of whole threes has none to set.
        var parts = [Base64URL.encode(bytes(#"{"alg":"ES256"} "#)), "e30", "AA"]
        let last = parts[part].last!
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let next = alphabet[alphabet.index(after: alphabet.firstIndex(of: last)!)]
        _ = try JWS(compact: parts.joined(separator: "."))
        parts[part] = parts[part].dropLast() + String(next)
        expectMalformed(parts.joined(separator: "."))
    }

    @Test("has no white space round it", arguments: [" ", "\n", "\r\n", "\u{FEFF}"])
    func surroundings(_ space: String) throws {
        let token = try Forge.token(of: .p256)
        expectMalformed(token + space)
        expectMalformed(space + token)
    }

    @Test("has at most 16 KiB")
    func size() throws {
        let overhead = try Forge.token(header: #"{"alg":"ES256"}"#, payload: "").utf8.count
        let room = (JWS.maximumTokenSize - overhead) / 4 * 3
        let fits = try Forge.token(header: #"{"alg":"ES256"}"#, payload: String(repeating: "x", count: room))
        #expect(fits.utf8.count <= JWS.maximumTokenSize && fits.utf8.count > JWS.maximumTokenSize - 4)
        try JWS(compact: fits).verify(with: JWK(SampleKey.p256.publicKey))
        let large = try Forge.token(header: #"{"alg":"ES256"}"#, payload: String(repeating: "x", count: room + 3))
        #expect(large.utf8.count > JWS.maximumTokenSize)
        expectMalformed(large)
    }

    @Test("may be longer where the caller says so, its header may not")
    func callersSize() throws {
        let payload = String(repeating: "x", count: 3 * JWS.maximumTokenSize)
        let token = try Forge.token(header: #"{"alg":"ES256"}"#, payload: payload)
        try JWS(compact: token, maximumSize: 1 << 20).verify(with: JWK(SampleKey.p256.publicKey))
        let header = #"{"alg":"ES256","x":""# + payload + #""}"#
        let other = try Forge.token(header: header)
        #expect(throws: JOSEError.of(.malformed)) { try JWS(compact: other, maximumSize: 1 << 20) }
    }

    @Test("is read from a slice as from a string")
    func slice() throws {
        let token = try Forge.token(of: .p256)
        let padded = bytes("Bearer " + token + ",")
        let jws = try JWS(compact: padded[7..<(padded.count - 1)])
        try jws.verify(with: JWK(SampleKey.p256.publicKey))
    }
}
