internal import JOSE
internal import KeyService

/// An access token and how long it is good for.
struct IssuedToken: Sendable {
    let text: String
    /// In seconds.
    let expiresIn: Int64
}

/// What an access token says, besides who made it and when.
struct AccessTokenContent: Sendable {
    var subject: String
    /// At least one.
    var audiences: [String]
    var clientID: String
    /// `nil` for no claim.
    var scopes: [String]?
    var sessionID: String?
    var status: StatusReference
    /// The `act` claim (RFC 8693 section 4.1).
    var actor: JSONObject?
    /// The user's own claims, none of them a registered one.
    var claims: JSONObject = [:]
    /// `nil` for the one of log-in tokens.
    var algorithm: Algorithm?
    /// `nil` for the service's.
    var lifetime: Duration?
    /// What the token doesn't outlive.
    var latestExpiry: Instant?
}

/// Signs access tokens (RFC 9068), and the status lists that end them.
struct TokenIssuer: Sendable {
    let issuer: String
    let audience: String
    let lifetime: Duration
    let keys: KeyService
    /// What the URLs of status lists start with; a list's id is the rest.
    let statusListsURL: String
    private let metrics: ServiceMetrics
    private let jwtIDs = RandomNames()

    init(
        issuer: String, audience: String, lifetime: Duration, keys: KeyService, metrics: ServiceMetrics = .none
    ) {
        self.metrics = metrics
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime
        self.keys = keys
        statusListsURL = Self.statusListsURL(issuer: issuer)
    }

    static func statusListsURL(issuer: String) -> String { url("/status-lists/", issuer: issuer) }

    /// A path of the service as a URL.
    static func url(_ path: String, issuer: String) -> String {
        (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + path
    }

    /// The client id of log-in tokens.
    static let firstPartyClient = "first-party"

    /// No key can sign now.
    struct NoSigningKey: Error {}

    /// - Parameter algorithm: `nil` for the one of log-in tokens.
    private func signingKey(_ algorithm: Algorithm? = nil) throws -> SigningKey {
        let view = try keys.current()
        guard let key = algorithm.map({ view.signingKey(for: $0) }) ?? view.signingKey else { throw NoSigningKey() }
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

    /// Signs an access token.
    func issue(_ content: AccessTokenContent, for grant: TokenGrant, at now: Instant) throws -> IssuedToken {
        let key = try signingKey(content.algorithm)
        var expiresIn = try lifetime(key, at: now)
        if let lifetime = content.lifetime { expiresIn = min(expiresIn, lifetime.components.seconds) }
        if let latest = content.latestExpiry { expiresIn = min(expiresIn, latest.seconds - now.seconds) }
        let claims = claims(content, jwtID: try jwtIDs.next(), issuedAt: now.seconds, expiresIn: expiresIn)
        let began = ContinuousClock.now
        let text = try key.accessTokens.sign(claims)
        metrics.issued(key.accessTokens.algorithm, for: grant, in: .now - began)
        return IssuedToken(text: text, expiresIn: expiresIn)
    }

    private func claims(_ content: AccessTokenContent, jwtID: String, issuedAt: Int64, expiresIn: Int64) -> [UInt8] {
        var claims = JSONObjectWriter(capacity: 1024)
        claims.append("iss", issuer)
        claims.append("sub", content.subject)
        if content.audiences.count == 1 {
            claims.append("aud", content.audiences[0])
        } else {
            claims.append("aud", .array(content.audiences.map { .string($0) }))
        }
        claims.append("client_id", content.clientID)
        claims.append("iat", issuedAt)
        claims.append("exp", issuedAt + expiresIn)
        claims.append("jti", jwtID)
        if let scopes = content.scopes { claims.append("scope", scopes.joined(separator: " ")) }
        if let sessionID = content.sessionID { claims.append("sid", sessionID) }
        if let actor = content.actor { claims.append("act", .object(actor)) }
        content.status.appendClaim(to: &claims, listsURL: statusListsURL)
        claims.append(content.claims)
        return claims.json()
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
