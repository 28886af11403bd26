import Testing

@testable import JOSE

@Suite("A policy")
struct JWTPolicyTests {
    static let now = Instant(seconds: 1_000_000)
    static let leeway = Duration.seconds(30)
    static let tick = Duration.microseconds(1)

    private func claims(_ changes: [String: JSONValue?] = [:]) throws -> JWTClaims {
        let base: JSONObject = ["iss": "https://issuer.example", "aud": "api", "exp": 1_000_060]
        return try JWTClaims(base.with(changes))
    }

    private func header(_ type: String? = "at+jwt") throws -> JWSHeader {
        let type = type.map { ",\"typ\":\"\($0)\"" } ?? ""
        return try JWSHeader(json: bytes(#"{"alg":"ES256"\#(type)}"#))
    }

    private func policy(audiences: [String] = ["api"]) -> JWTPolicy {
        JWTPolicy(issuer: "https://issuer.example", audiences: audiences, leeway: Self.leeway)
    }

    private func expectRefused(
        _ claims: JWTClaims, _ policy: JWTPolicy? = nil, at now: Instant = now, code: JOSEError.Code = .claimRefused,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: JOSEError.of(code), sourceLocation: sourceLocation) {
            try (policy ?? self.policy()).check(claims, header: header(), at: now)
        }
    }

    @Test("accepts what it asks for")
    func accepts() throws { try policy().check(try claims(), header: try header(), at: Self.now) }

    @Test("takes a token up to the last microsecond of exp and leeway, and not at it")
    func expiry() throws {
        let end = Instant(seconds: 1_000_060) + Self.leeway
        try policy().check(try claims(), header: try header(), at: end - Self.tick)
        expectRefused(try claims(), at: end, code: .expired)
        expectRefused(try claims(), at: end + Self.tick, code: .expired)
    }

    @Test("takes a token from nbf less the leeway on", arguments: ["nbf", "iat"])
    func start(_ name: String) throws {
        let token = try claims([name: 1_000_000])
        let start = Instant(seconds: 1_000_000) - Self.leeway
        try policy().check(token, header: try header(), at: start)
        expectRefused(token, at: start - Self.tick)
    }

    @Test("without leeway is exact")
    func noLeeway() throws {
        var policy = policy()
        policy.leeway = .zero
        let token = try claims(["exp": .number(1_000_000.5), "nbf": .number(999_999.25)])
        let (nbf, exp) = (Instant(microseconds: 999_999_250_000), Instant(microseconds: 1_000_000_500_000))
        try policy.check(token, header: try header(), at: nbf)
        try policy.check(token, header: try header(), at: exp - Self.tick)
        expectRefused(token, policy, at: nbf - Self.tick)
        expectRefused(token, policy, at: exp, code: .expired)
    }

    @Test("asks for exp")
    func missingExpiry() throws { expectRefused(try claims(["exp": nil])) }

    @Test("says that a token is expired only where nothing else is wrong")
    func expiredLast() throws {
        expectRefused(try claims(["exp": 1, "aud": "other"]))
        expectRefused(try claims(["exp": 1, "iss": "other"]))
        expectRefused(try claims(["exp": 1, "nbf": 2_000_000]))
    }

    @Test(
        "takes its one issuer, letter by letter",
        arguments: ["https://issuer.example/", "HTTPS://issuer.example", "https://issuer.example ", "", "other"])
    func issuer(_ issuer: String) throws { expectRefused(try claims(["iss": .string(issuer)])) }

    @Test("asks for iss")
    func missingIssuer() throws { expectRefused(try claims(["iss": nil])) }

    @Test("tells a composed letter from a decomposed one, in iss and aud")
    func spelling() throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        let policy = JWTPolicy(issuer: composed, audiences: [composed])
        try policy.check(
            try claims(["iss": .string(composed), "aud": .string(composed)]), header: try header(), at: Self.now)
        expectRefused(try claims(["iss": .string(decomposed), "aud": .string(composed)]), policy)
        expectRefused(try claims(["iss": .string(composed), "aud": .string(decomposed)]), policy)
    }

    @Test("takes a token for one of its audiences", arguments: [["api"], ["web", "api"], ["api", "other"]])
    func audiences(_ audiences: [String]) throws {
        try policy(audiences: audiences).check(
            try claims(["aud": ["mobile", "api"]]), header: try header(), at: Self.now)
    }

    @Test(
        "refuses a token for nobody or somebody else",
        arguments: [nil, "other", "API", "", [], ["other"], "api/"] as [JSONValue?])
    func otherAudience(_ audience: JSONValue?) throws { expectRefused(try claims(["aud": audience])) }

    @Test("without audiences takes a token for anybody", arguments: [nil, "other", []] as [JSONValue?])
    func anyAudience(_ audience: JSONValue?) throws {
        try policy(audiences: []).check(try claims(["aud": audience]), header: try header(), at: Self.now)
    }

    @Test(
        "takes its typ in any case, with application/ and without (RFC 7515 section 4.1.9)",
        arguments: ["at+jwt", "AT+JWT", "application/at+jwt"], ["at+jwt", "At+Jwt", "application/AT+jwt"])
    func type(_ asked: String, _ given: String) throws {
        var policy = policy()
        policy.type = asked
        try policy.check(try claims(), header: try header(given), at: Self.now)
    }

    @Test(
        "refuses another typ",
        arguments: [nil, "JWT", "", "at+jwt ", "id+jwt", "application/application/at+jwt", "text/at+jwt"])
    func otherType(_ type: String?) throws {
        #expect(throws: JOSEError.of(.claimRefused)) {
            try policy().check(try claims(), header: try header(type), at: Self.now)
        }
    }

    @Test("without a typ takes any", arguments: [nil, "JWT", "at+jwt"])
    func anyType(_ type: String?) throws {
        var policy = policy()
        policy.type = nil
        try policy.check(try claims(), header: try header(type), at: Self.now)
    }

    @Test("asks for the claims that it requires", arguments: ["sub", "jti", "client_id"])
    func required(_ name: String) throws {
        var policy = policy()
        policy.requiredClaims = [name]
        try policy.check(try claims([name: "x"]), header: try header(), at: Self.now)
        expectRefused(try claims(), policy)
    }
}
