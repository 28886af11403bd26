public import JOSE

/// What a session may give to its tokens.
struct SessionGrant: Sendable {
    let sessionID: String
    let userID: String
    /// The user's own.
    let claims: JSONObject
    /// Those of the log-in that the user still has.
    var scopes: [String]
    /// The session's bit.
    let status: StatusReference
    /// What no access token of the session outlives.
    let tokensUntil: Instant
    /// When the session ends without another refresh.
    let refreshableUntil: Instant
}

extension AccessTokenContent {
    /// An access token of a session, with the user's claims of today.
    init(_ grant: SessionGrant, audience: String) {
        self.init(
            subject: grant.userID, audiences: [audience], clientID: TokenIssuer.firstPartyClient, scopes: grant.scopes,
            sessionID: grant.sessionID, status: grant.status, claims: grant.claims,
            // The session's status bit may be cleared once the last of its tokens has expired.
            latestExpiry: grant.tokensUntil)
    }
}

/// A session as its user and operators see it.
public struct SessionRecord: Sendable {
    /// The `sid` of its tokens.
    public let id: String
    /// The name of its user.
    public let userName: String
    public let createdAt: Instant
    public let lastUsedAt: Instant
    /// When it ends without another refresh.
    public let expiresAt: Instant
    /// Where the log-in came from.
    public let address: String?
    public let userAgent: String?

    /// The fields as they are printed and answered.
    public var members: JSONObject {
        [
            "id": .string(id), "user": .string(userName), "created_at": .string(createdAt.description),
            "last_used_at": .string(lastUsedAt.description), "expires_at": .string(expiresAt.description),
            "address": address.map { .string($0) } ?? .null, "user_agent": userAgent.map { .string($0) } ?? .null,
        ]
    }
}
