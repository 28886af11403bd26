internal import JOSE
internal import KeyService
internal import Logging

/// Log-ins and what becomes of them: pairs of an access token and a refresh token.
struct Sessions: Sendable {
    private let store: SessionStore
    private let coder: RefreshTokenCoder
    private let issuer: TokenIssuer
    private let now: @Sendable () -> Instant
    private let logger: Logger

    init(
        store: SessionStore, secret: MasterSecret, issuer: TokenIssuer, now: @escaping @Sendable () -> Instant,
        logger: Logger
    ) throws {
        self.store = store
        coder = try RefreshTokenCoder(secret: secret)
        self.issuer = issuer
        self.now = now
        self.logger = logger
    }

    /// What a log-in or a refresh answers.
    struct TokenPair: Sendable {
        let accessToken: IssuedToken
        let refreshToken: String
        let scopes: [String]
    }

    private func pair(_ token: RefreshToken, _ user: User, _ scopes: [String], at now: Instant) throws -> TokenPair {
        TokenPair(
            accessToken: try issuer.issue(to: user, sessionID: token.sessionName, scopes: scopes, at: now),
            refreshToken: try coder.text(of: token), scopes: scopes)
    }

    /// Starts a session for a user who was authenticated.
    ///
    /// - Returns: `nil` where the user was disabled or got another password in the meantime.
    func begin(for user: User, scopes: [String], from origin: SessionOrigin) async throws -> TokenPair? {
        let now = now()
        let token = RefreshToken(sessionID: try randomBytes(16), generation: 1, seed: try randomBytes(16))
        // The signature first: without a key there is no session either.
        let pair = try pair(token, user, scopes, at: now)
        return try await store.insert(token, user: user, scopes: scopes, from: origin, at: now) ? pair : nil
    }

    /// The next pair for a refresh token; `nil` where it is refused.
    func refresh(_ text: String) async throws -> TokenPair? {
        guard let token = try coder.read(text) else { return nil }
        // Without a key that signs, the token isn't used up.
        try issuer.checkReadiness()
        let now = now()
        switch try await store.refresh(token, at: now) {
        case .advanced(let user, let scopes), .repeated(let user, let scopes):
            return try pair(token.successor, user, scopes, at: now)
        case .caughtUp(let user, let scopes):
            logger.warning(
                """
                a refresh token is ahead of its session: the database was restored from an older copy; endings since \
                that copy are lost
                """,
                metadata: ["sid": "\(token.sessionName)", "user": "\(user.id)"])
            return try pair(token.successor, user, scopes, at: now)
        case .reused:
            logger.warning(
                "a used refresh token came back: the session was ended", metadata: ["sid": "\(token.sessionName)"])
            return nil
        case .refused: return nil
        }
    }

    /// Ends the session of a refresh token of any generation, or all of its user's.
    ///
    /// - Returns: whether the token is one of ours.
    func end(refreshToken text: String, everywhere: Bool) async throws -> Bool {
        guard let token = try coder.read(text) else { return false }
        try await store.end(token, everywhere: everywhere, at: now())
        return true
    }

    /// Ends the session of an access token, or all of its user's.
    func end(sessionID: String, userID: String, everywhere: Bool) async throws {
        try await store.end(
            everywhere ? .ofUser(userID, except: nil) : .session(sessionID), reason: .loggedOut, at: now())
    }
}
