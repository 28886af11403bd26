internal import JOSE
internal import KeyService

/// An access token and how long it is good for.
struct IssuedToken: Sendable {
    let text: String
    /// In seconds.
    let expiresIn: Int64
}

/// Signs access tokens (RFC 9068).
struct TokenIssuer: Sendable {
    let issuer: String
    let audience: String
    let lifetime: Duration
    let keys: KeyService

    /// The client id of log-in tokens.
    static let firstPartyClient = "first-party"

    /// No key can sign now.
    struct NoSigningKey: Error {}

    private func signingKey() throws -> SigningKey {
        guard let key = try keys.current().signingKey else { throw NoSigningKey() }
        return key
    }

    /// - Throws: ``NoSigningKey``.
    func checkReadiness() throws { _ = try signingKey() }

    /// An access token of a session, with the user's claims of today.
    func issue(to user: User, sessionID: String, scopes: [String], at now: Instant) throws -> IssuedToken {
        let key = try signingKey()
        let expiresIn = min(lifetime, key.longestTokenLifetime(at: now)).components.seconds
        guard expiresIn > 0 else { throw NoSigningKey() }
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": .string(user.id), "aud": .string(audience),
            "client_id": .string(Self.firstPartyClient), "iat": .integer(now.seconds),
            "exp": .integer(now.seconds + expiresIn), "jti": .string(Base64URL.encode(try randomBytes(16))),
            "scope": .string(scopes.joined(separator: " ")), "sid": .string(sessionID),
        ]
        for member in user.claims.members { claims[member.name] = member.value }
        return IssuedToken(text: try key.signer.sign(claims.json), expiresIn: expiresIn)
    }
}
