import Testing

@testable import JOSE

@Suite("The header of a token")
struct JWSHeaderTests {
    private func expect(
        _ code: JOSEError.Code, _ header: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let token = try Forge.token(header: header)
        #expect(throws: JOSEError.of(code), sourceLocation: sourceLocation) {
            try JWS(compact: token).verify(with: JWK(SampleKey.p256.publicKey))
        }
    }

    @Test(
        "is a JSON object that names alg",
        arguments: [
            "", "{}", "[]", "null", "\"ES256\"", "{", #"{"alg":5}"#, #"{"alg":null}"#, #"{"alg":["ES256"]}"#,
            #"{"Alg":"ES256"}"#, #"{"alg":"ES256",}"#, #"{"alg":"ES256"}x"#, "\u{FEFF}{\"alg\":\"ES256\"}",
            #"{'alg':'ES256'}"#, #"{"alg":"ES256"/**/}"#,
        ])
    func malformed(_ header: String) throws { try expect(.malformed, header) }

    @Test("is read in no time whatever its typ is made of", .timeLimit(.minutes(1)))
    func combiningMarks() throws {
        let marks = String(repeating: "\u{345}", count: 250_000) + String(repeating: "\u{334}", count: 250_000)
        let header = try JWSHeader(json: #"{"alg":"ES256","typ":"\#(marks)"}"#.utf8)
        #expect(header.type?.isSpelt(marks) == true)
    }

    @Test(
        "has no member twice",
        arguments: [
            #"{"alg":"ES256","alg":"ES256"}"#, #"{"alg":"none","alg":"ES256"}"#, #"{"alg":"ES256","\u0061lg":"none"}"#,
            #"{"alg":"ES256","kid":"a","kid":"b"}"#, #"{"alg":"ES256","x":{"a":1,"a":1}}"#,
        ])
    func repeated(_ header: String) throws { try expect(.malformed, header) }

    @Test(
        "names an algorithm of the key",
        arguments: [
            "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "Es256", "ES256 ", " ES256",
            "ES384",
            "ES512", "ES256K", "RS256", "PS256", "EdDSA", "ES256\\u0000", "SHA256", "dir",
        ])
    func otherAlgorithm(_ name: String) throws { try expect(.unsupported, "{\"alg\":\"\(name)\"}") }

    @Test("names the algorithm that the key says it is for")
    func keysAlgorithm() throws {
        let token = try JWS(compact: try Forge.token(of: .rsa, algorithm: .ps256))
        try token.verify(with: JWK(SampleKey.rsa.publicKey))
        try token.verify(with: JWK(SampleKey.rsa.publicKey, algorithm: .ps256))
        #expect(throws: JOSEError.of(.unsupported)) {
            try token.verify(with: JWK(SampleKey.rsa.publicKey, algorithm: .rs256))
        }
    }

    @Test("can't turn a public key into a secret of HMAC", arguments: ["HS256", "HS384", "HS512"])
    func keyConfusion(_ name: String) throws {
        let input = "\(Base64URL.encode(bytes("{\"alg\":\"\(name)\"}"))).\(Base64URL.encode(bytes("{}")))"
        for secret in [try SampleKey.rsa.publicKey.pem(), try SampleKey.rsa.publicMembers().jsonText] {
            let code = try HMACSHA256.authenticationCode(for: bytes(input), key: SecretBytes(bytes(secret)))
            #expect(throws: JOSEError.of(.unsupported)) {
                try JWS(compact: "\(input).\(Base64URL.encode(code))").verify(with: JWK(SampleKey.rsa.publicKey))
            }
        }
    }

    @Test("may not leave the signature out by naming none")
    func unsigned() throws {
        let input = "\(Base64URL.encode(bytes(#"{"alg":"none"}"#))).\(Base64URL.encode(bytes("{}")))."
        for sample in SampleKey.all {
            #expect(throws: JOSEError.of(.unsupported)) { try JWS(compact: input).verify(with: JWK(sample.publicKey)) }
        }
    }

    @Test(
        "asks for no extension",
        arguments: [
            #""crit":["exp"],"exp":1"#, #""crit":[]"#, #""crit":null"#, #""crit":["b64"],"b64":false"#, #""b64":false"#,
            #""b64":true"#, #""crit":"alg""#,
        ])
    func critical(_ member: String) throws { try expect(.unsupported, #"{"alg":"ES256",\#(member)}"#) }

    @Test("brings no key of its own", arguments: ["jwk", "jku", "x5u", "x5c", "x5t"])
    func ownKey(_ name: String) throws {
        let other = SampleKey.p256.other
        let value: JSONValue =
            switch name {
            case "jwk": .object(try JWK(other.publicKey).publicMembers())
            case "x5c": ["MIIB"]
            default: "https://attacker.example/keys"
            }
        let header = JSONObject(dictionaryLiteral: ("alg", "ES256"), (name, value)).jsonText
        let forged = try Forge.token(header: header, key: other)
        #expect(throws: JOSEError.of(.signatureInvalid)) {
            try JWS(compact: forged).verify(with: JWK(SampleKey.p256.publicKey))
        }
        try JWS(compact: try Forge.token(header: header)).verify(with: JWK(SampleKey.p256.publicKey))
    }

    @Test("is nested no deeper than 32")
    func depth() throws {
        func header(_ depth: Int) -> String {
            let (open, close) = (String(repeating: "[", count: depth - 1), String(repeating: "]", count: depth - 1))
            return #"{"alg":"ES256","x":\#(open)\#(close)}"#
        }
        try JWS(compact: try Forge.token(header: header(32))).verify(with: JWK(SampleKey.p256.publicKey))
        try expect(.malformed, header(33))
        try expect(.malformed, header(5000))
    }

    @Test(
        "has a kid that is text, not empty and not too long",
        arguments: ["5", "null", "\"\"", "[\"a\"]", "\"\\n\"", "\"\(String(repeating: "k", count: 257))\""])
    func keyID(_ value: String) throws { try expect(.malformed, #"{"alg":"ES256","kid":\#(value)}"#) }

    @Test("has a typ that is text", arguments: ["5", "null", "[\"JWT\"]", "true"])
    func type(_ value: String) throws { try expect(.malformed, #"{"alg":"ES256","typ":\#(value)}"#) }

    @Test(
        "means the same typ with and without application/, in any case",
        arguments: ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
    func typeSpelling(_ type: String) throws {
        #expect(try JWSHeader(json: bytes(#"{"alg":"ES256","typ":"\#(type)"}"#)).type == "at+jwt")
    }
}
