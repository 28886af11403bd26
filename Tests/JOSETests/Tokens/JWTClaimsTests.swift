import Testing

@testable import JOSE

@Suite("The claims of a token")
struct JWTClaimsTests {
    @Test("are read into their types")
    func registered() throws {
        let text = #"{"iss":"i","sub":"s","aud":["a","b"],"exp":30,"nbf":10,"iat":20,"jti":"j","plan":"pro"}"#
        let claims = try JWTClaims(json: bytes(text))
        #expect(claims.issuer == "i")
        #expect(claims.subject == "s")
        #expect(claims.audiences == ["a", "b"])
        #expect(claims.expiresAt == Instant(seconds: 30))
        #expect(claims.notBefore == Instant(seconds: 10))
        #expect(claims.issuedAt == Instant(seconds: 20))
        #expect(claims.jwtID == "j")
        #expect(claims.members["plan"] == "pro")
    }

    @Test("may all be missing")
    func empty() throws {
        let claims = try JWTClaims(json: bytes("{}"))
        #expect(claims.issuer == nil && claims.subject == nil && claims.jwtID == nil)
        #expect(claims.expiresAt == nil && claims.notBefore == nil && claims.issuedAt == nil)
        #expect(claims.audiences.isEmpty)
    }

    @Test("are an object", arguments: ["", "[]", "5", "null", "\"a\"", "{", #"{"a":1,"a":1}"#])
    func notAnObject(_ text: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JWTClaims(json: bytes(text)) }
    }

    @Test("that are names are text", arguments: ["iss", "sub", "jti"], ["5", "null", "[\"a\"]", "{}", "true"])
    func texts(_ name: String, _ value: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JWTClaims(json: bytes(#"{"\#(name)":\#(value)}"#)) }
    }

    @Test("have an aud of one text or a list", arguments: [#""a""#: ["a"], #"["a"]"#: ["a"], "[]": [], #""""#: [""]])
    func audiences(_ value: String, _ expected: [String]) throws {
        #expect(try JWTClaims(json: bytes(#"{"aud":\#(value)}"#)).audiences == expected)
    }

    @Test(
        "have no aud of another type", arguments: ["5", "null", "{}", "[5]", #"["a",5]"#, #"["a",null]"#, #"[["a"]]"#])
    func wrongAudiences(_ value: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JWTClaims(json: bytes(#"{"aud":\#(value)}"#)) }
    }

    @Test(
        "have instants with fractions and exponents",
        arguments: [
            ("0", 0), ("1.5", 1_500_000), ("0.000001", 1), ("1.009", 1_009_000), ("1.000001", 1_000_001),
            ("1700000000.000001", 1_700_000_000_000_001),
            ("1700000000.999999", 1_700_000_000_999_999), ("1.7e9", 1_700_000_000_000_000),
            ("1300819380.25", 1_300_819_380_250_000), ("253402300799", 253_402_300_799_000_000), ("-0", 0), ("0.0", 0),
        ] as [(String, Int64)])
    func numericDates(_ value: String, _ microseconds: Int64) throws {
        for name in ["exp", "nbf", "iat"] {
            let claims = try JWTClaims(json: bytes(#"{"\#(name)":\#(value)}"#))
            let instants = [claims.expiresAt, claims.notBefore, claims.issuedAt].compactMap { $0 }
            #expect(instants == [Instant(microseconds: microseconds)])
        }
    }

    @Test(
        "have no instants of other types or out of range", arguments: ["exp", "nbf", "iat"],
        [
            "-1", "-0.5", "253402300800", "253402300799.5", "9223372036854775807", "9223372036854775808", "1e300",
            "-1e300",
            "null", "\"1700000000\"", "true", "[]", "{}",
        ])
    func wrongNumericDates(_ name: String, _ value: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JWTClaims(json: bytes(#"{"\#(name)":\#(value)}"#)) }
    }
}
