/// What a token has to say to be accepted: RFC 7519 section 4.1 and, for access tokens, RFC 9068 section 4.
public struct JWTPolicy: Sendable {
    /// The one `iss` that is accepted.
    public var issuer: String
    /// One of these has to be in `aud`; empty means that anybody is meant.
    public var audiences: [String]
    /// The `typ` that the header must have, `at+jwt` for access tokens, in any case and with `application/`
    /// or without; `nil` takes any.
    public var type: String?
    /// How far the clocks of issuer and verifier may differ.
    public var leeway: Duration
    /// Claims that must be there, besides `iss` and `exp`.
    public var requiredClaims: [String]
    /// Scopes that must be in `scope` (RFC 8693 section 4.2); see ``missingScope(_:)``.
    public var requiredScopes: [String]
    /// The algorithms that are accepted, of those that the key is for.
    public var algorithms: Set<Algorithm>

    /// A policy for access tokens, unless another `type` is given. The properties of the same names say what each is.
    public init(
        issuer: String, audiences: [String], type: String? = "at+jwt", leeway: Duration = .seconds(30),
        requiredClaims: [String] = [], requiredScopes: [String] = [], algorithms: Set<Algorithm> = Set(Algorithm.table)
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.type = type
        self.leeway = leeway
        self.requiredClaims = requiredClaims
        self.requiredScopes = requiredScopes
        self.algorithms = algorithms
    }

    /// Checks what a header says, before anything is looked for that it names.
    ///
    /// - Throws: ``JOSEError`` `claimRefused` for another type, `unsupported` for another algorithm.
    public func check(_ header: JWSHeader) throws {
        if let type, header.type?.isSpelt(type) != true, header.type?.isSpelt(JWSHeader.mediaType(type)) != true {
            throw JOSEError(.claimRefused, "a token whose typ isn't \(type)")
        }
        guard let algorithm = header.algorithm, algorithms.contains(algorithm) else {
            throw JOSEError(.unsupported, "a token whose alg isn't accepted")
        }
    }

    /// The first scope that is asked for and isn't there: then the token is good, but not for this.
    public func missingScope(_ claims: JWTClaims) -> String? {
        guard !requiredScopes.isEmpty else { return nil }
        let scopes = claims.members["scope"]?.string?.words ?? []
        return requiredScopes.first { required in !scopes.contains { $0.isSpelt(required) } }
    }

    /// Whether claims that were checked before haven't expired since, nor become those of the future by a clock that was
    /// set back.
    public func isCurrent(_ claims: JWTClaims, at now: Instant) -> Bool {
        guard let expiresAt = claims.expiresAt, now - leeway < expiresAt else { return false }
        let latest = now + leeway
        return (claims.notBefore.map { latest >= $0 } ?? true) && (claims.issuedAt.map { latest >= $0 } ?? true)
    }

    /// Checks header and claims at an instant. Scopes aren't looked at: see ``missingScope(_:)``.
    ///
    /// - Throws: ``JOSEError`` `claimRefused` or `unsupported`, or `expired` where nothing else is wrong than that.
    public func check(_ claims: JWTClaims, header: JWSHeader, at now: Instant) throws {
        func require(_ holds: Bool, _ problem: @autoclosure () -> String) throws {
            if !holds { throw JOSEError(.claimRefused, problem()) }
        }
        try check(header)
        try require(claims.issuer.map { $0.isSpelt(issuer) } == true, "a token of another issuer")
        try require(
            audiences.isEmpty || claims.audiences.contains { audience in audiences.contains { $0.isSpelt(audience) } },
            "a token for another audience")
        for name in requiredClaims { try require(claims.members[name] != nil, "a token without \(name)") }
        guard let expiresAt = claims.expiresAt else { throw JOSEError(.claimRefused, "a token without exp") }
        let (earliest, latest) = (now - leeway, now + leeway)
        if let notBefore = claims.notBefore { try require(latest >= notBefore, "a token that isn't valid yet") }
        if let issuedAt = claims.issuedAt { try require(latest >= issuedAt, "a token from the future") }
        guard earliest < expiresAt else { throw JOSEError(.expired, "an expired token") }
    }
}
