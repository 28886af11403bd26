public import JOSE

/// Verifies access tokens: signature, header and claims (RFC 7519, RFC 9068).
public struct TokenVerifier<Keys: KeySource>: Sendable {
    private let keys: Keys
    private let policy: JWTPolicy

    /// - Parameters:
    ///   - keys: the issuer's public keys.
    ///   - policy: what a token has to say.
    public init(keys: Keys, policy: JWTPolicy) {
        self.keys = keys
        self.policy = policy
    }

    /// A token that was accepted.
    public struct VerifiedToken: Sendable {
        public let header: JWSHeader
        public let claims: JWTClaims
        /// The claims as they were spelt.
        public let payload: [UInt8]
    }

    /// Verifies a token at an instant.
    ///
    /// - Parameter token: the compact serialisation, at most ``JWS/maximumTokenSize`` bytes.
    /// - Throws: ``JOSEError`` where the token is refused, and what the key source throws.
    public func verify(_ token: String, at now: Instant) async throws -> VerifiedToken {
        let jws = try JWS(compact: token)
        try jws.verify(with: try await keys.keySet())
        let claims = try JWTClaims(json: jws.payload)
        try policy.check(claims, header: jws.header, at: now)
        return VerifiedToken(header: jws.header, claims: claims, payload: jws.payload)
    }
}
