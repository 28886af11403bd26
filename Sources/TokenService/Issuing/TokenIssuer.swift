internal import JOSE
internal import KeyService

/// An access token and how long it is good for.
struct IssuedToken: Sendable {
    let text: String
    /// In seconds.
    let expiresIn: Int64
}

/// Signs access tokens (RFC 9068), and the status lists that end them.
struct TokenIssuer: Sendable {
    let issuer: String
    let audience: String
    let lifetime: Duration
    let keys: KeyService
    /// What the URLs of status lists start with; a list's id is the rest.
    let statusListsURL: String

    init(issuer: String, audience: String, lifetime: Duration, keys: KeyService) {
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self.keys = keys
        statusListsURL = Self.statusListsURL(issuer: issuer)
    }

    static func statusListsURL(issuer: String) -> String {
        (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/status-lists/"
    }

    /// The client id of log-in tokens.
    static let firstPartyClient = "first-party"

    /// No key can sign now.
    struct NoSigningKey: Error {}

    private func signingKey() throws -> SigningKey {
        guard let key = try keys.current().signingKey else { throw NoSigningKey() }
        return key
    }

    /// The key that signs now.
    ///
    /// - Throws: ``NoSigningKey``.
    func keyID() throws -> KeyID { try signingKey().keyID }

    /// - Throws: ``NoSigningKey`` where no token can be signed.
    func requireSigning(at now: Instant) throws { _ = try lifetime(signingKey(), at: now) }

    /// How many whole seconds what is signed now may be good for.
    private func lifetime(_ key: SigningKey, at now: Instant) throws -> Int64 {
        let seconds = min(lifetime, key.longestTokenLifetime(at: now)).components.seconds
        guard seconds > 0 else { throw NoSigningKey() }
        return seconds
    }

    /// An access token of a session, with the user's claims of today.
    func issue(_ grant: SessionGrant, at now: Instant) throws -> IssuedToken {
        let key = try signingKey()
        // The session's status bit may be cleared once the last of its tokens has expired.
        let expiresIn = min(try lifetime(key, at: now), grant.tokensUntil.seconds - now.seconds)
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": .string(grant.user.id), "aud": .string(audience),
            "client_id": .string(Self.firstPartyClient), "iat": .integer(now.seconds),
            "exp": .integer(now.seconds + expiresIn), "jti": .string(Base64URL.encode(try randomBytes(16))),
            "scope": .string(grant.scopes.joined(separator: " ")), "sid": .string(grant.sessionID),
            "status": grant.status.claim(listsURL: statusListsURL),
        ]
        for member in grant.user.claims.members { claims[member.name] = member.value }
        return IssuedToken(text: try key.accessTokens.sign(claims.json), expiresIn: expiresIn)
    }

    /// A status list token (Token Status List draft, section 5.1), good for as long as an access token.
    ///
    /// - Parameter list: the members `bits` and `lst`.
    func statusList(_ id: String, _ list: JSONObject, ttl: Duration, at now: Instant) throws
        -> (text: String, keyID: KeyID, expiresAt: Instant)
    {
        let key = try signingKey()
        let expiresAt = now.seconds + (try lifetime(key, at: now))
        let claims: JSONObject = [
            "sub": .string(statusListsURL + id), "iat": .integer(now.seconds), "exp": .integer(expiresAt),
            "ttl": .integer(ttl.components.seconds), "status_list": .object(list),
        ]
        return (try key.statusLists.sign(claims.json), key.keyID, Instant(seconds: expiresAt))
    }
}
