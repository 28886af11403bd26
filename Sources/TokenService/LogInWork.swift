public import JOSE
public import KeyService

/// What a log-in computes, without its database: the hash of a password, and an access token. For `Benchmarks/`.
public struct LogInWork: Sendable {
    private let issuer: TokenIssuer
    private let content: AccessTokenContent

    /// - Parameters:
    ///   - algorithm: one that the keys sign with.
    ///   - statusList: the id of the list that the tokens name.
    public init(issuer: String, keys: KeyService, algorithm: Algorithm, lifetime: Duration, statusList: String) {
        self.issuer = TokenIssuer(issuer: issuer, audience: issuer, lifetime: lifetime, keys: keys)
        content = AccessTokenContent(
            subject: "0b5ff1f4-4f0d-4dd8-9b1d-6f2b6c6f0c55", audiences: [issuer],
            clientID: TokenIssuer.firstPartyClient,
            scopes: ["read", "write"], sessionID: "7f0e8b1c-93a4-4c1e-8f2a-d5f3a1c0b9e2",
            status: StatusReference(list: statusList, index: 4711), claims: ["plan": "gold", "premium": true],
            algorithm: algorithm)
    }

    /// Signs an access token of a user with two claims of their own.
    public func accessToken(at now: Instant) throws -> String { try issuer.issue(content, for: .logIn, at: now).text }

    /// Hashes a password with a new salt.
    public static func passwordHash(_ password: String, cost: PasswordCost) throws -> String {
        try PasswordHash.make(password, cost: cost).text
    }
}
