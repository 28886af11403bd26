internal import JOSE
internal import KeyService
internal import Logging

/// Log-ins and what becomes of them: pairs of an access token and a refresh token.
struct Sessions: Sendable {
    private let store: SessionStore
    private let coder: RefreshTokenCoder
    private let issuer: TokenIssuer
    private let indexes: StatusIndexes
    private let statusLists: StatusLists
    private let audit: AuditLog
    private let metrics: ServiceMetrics
    private let now: @Sendable () -> Instant

    init(
        store: SessionStore, coder: RefreshTokenCoder, issuer: TokenIssuer, indexes: StatusIndexes,
        statusLists: StatusLists, audit: AuditLog, metrics: ServiceMetrics, now: @escaping @Sendable () -> Instant
    ) {
        self.metrics = metrics
        self.store = store
        self.coder = coder
        self.issuer = issuer
        self.indexes = indexes
        self.statusLists = statusLists
        self.audit = audit
        self.now = now
    }

    /// What a log-in or a refresh answers.
    struct TokenPair: Sendable {
        let accessToken: IssuedToken
        let refreshToken: String
        /// How long the refresh token is good for, in seconds.
        let refreshExpiresIn: Int64
        let scopes: [String]
    }

    private func pair(
        _ token: RefreshToken, _ grant: SessionGrant, for asked: TokenGrant, at now: Instant
    ) throws -> TokenPair {
        TokenPair(
            accessToken: try issuer.issue(
                AccessTokenContent(grant, audience: issuer.audience), for: asked, at: now),
            refreshToken: try coder.text(of: token),
            refreshExpiresIn: max(0, (grant.refreshableUntil - now).components.seconds), scopes: grant.scopes)
    }

    /// Starts a session for a user who was authenticated.
    ///
    /// - Returns: `nil` where the user was disabled or got another password in the meantime.
    func begin(for user: User, scopes: [String], from origin: SessionOrigin) async throws -> TokenPair? {
        let status = try await indexes.next()
        let now = now()
        let token = RefreshToken(sessionID: try randomBytes(16), generation: 1, seed: try randomBytes(16))
        let grant = store.grant(token, to: user, scopes: scopes, status: status, at: now)
        // The signature first: without a key there is no session either.
        let pair = try pair(token, grant, for: .logIn, at: now)
        let actor = AuditActor.user(user.id, address: origin.address)
        let record = AuditRecord(.logIn, by: actor, subject: user.id, session: token.sessionName, at: now)
        guard try await store.insert(token, grant, of: user, from: origin, audit: record, at: now) else { return nil }
        audit.tell(record)
        return pair
    }

    /// The next pair for a refresh token; `nil` where it is refused.
    ///
    /// - Parameter scopes: those that the access token is to have; `nil` for all of the session's.
    /// - Throws: ``SessionStore/ForeignScope``; then the refresh token isn't used up.
    func refresh(_ text: String, scopes: [String]? = nil, from origin: SessionOrigin) async throws -> TokenPair? {
        guard let token = try coder.read(text) else {
            metrics.refreshed(.refused)
            return nil
        }
        let now = now()
        // Without a key that signs, the token isn't used up.
        try issuer.requireSigning(at: now)
        let answer = try await store.refresh(token, scopes: scopes, from: origin, at: now)
        metrics.refreshed(answer.outcome)
        switch answer {
        case .advanced(let grant), .repeated(let grant):
            return try pair(token.successor, grant, for: .refreshToken, at: now)
        case .caughtUp(let grant, let record):
            audit.tell(record)
            await indexes.startNewList()
            return try pair(token.successor, grant, for: .refreshToken, at: now)
        case .reused(let bits, let record):
            metrics.sessionsEnded(bits.count, cause: "reuse")
            statusLists.set(bits)
            audit.tell(record)
            return nil
        case .refused(let record):
            if let record { audit.tell(record) }
            return nil
        }
    }

    /// Ends the session of a refresh token of any generation, or all of its user's.
    ///
    /// - Returns: whether the token names anybody.
    func end(refreshToken text: String, everywhere: Bool, from origin: SessionOrigin) async throws -> Bool {
        guard let token = try coder.read(text) else { return false }
        let now = now()
        let (isKnown, ending) = try await store.end(
            token, everywhere: everywhere,
            audit: { userID in
                AuditRecord(
                    everywhere ? .logOutEverywhere : .logOut, by: .user(userID, address: origin.address),
                    subject: userID, session: token.sessionName, at: now)
            }, at: now)
        didEnd(ending)
        // A session that was forgotten is over, but whose others to end isn't known any more.
        return isKnown || !everywhere
    }

    /// Ends the session of an access token, or all of its user's.
    func end(_ caller: Caller, everywhere: Bool, from origin: SessionOrigin) async throws {
        try await end(
            everywhere ? .ofUser(caller.userID, except: nil) : .session(caller.sessionID),
            everywhere ? .logOutEverywhere : .logOut, session: caller.sessionID, by: caller, from: origin)
    }

    /// Ends one of the caller's sessions.
    ///
    /// - Returns: whether it is one of theirs.
    func end(sessionID: String, of caller: Caller, from origin: SessionOrigin) async throws -> Bool {
        guard try await store.hasSession(sessionID, ofUser: caller.userID) else { return false }
        try await end(.session(sessionID), .sessionEnded, session: sessionID, by: caller, from: origin)
        return true
    }

    private func end(
        _ which: SessionStore.Which, _ event: AuditRecord.Event, session: String, by caller: Caller,
        from origin: SessionOrigin
    ) async throws {
        let now = now()
        let record = AuditRecord(
            event, by: .user(caller.userID, address: origin.address), subject: caller.userID, session: session, at: now)
        didEnd(try await store.end(which, reason: .loggedOut, audit: record, at: now))
    }

    /// Ends a session of a user's for a client that may.
    func revoke(_ sessionID: String, ofUser userID: String, by actor: AuditActor) async throws {
        let now = now()
        let record = AuditRecord(.sessionsRevoked, by: actor, subject: userID, session: sessionID, at: now)
        didEnd(try await store.end(.session(sessionID), reason: .revoked, audit: record, at: now))
    }

    /// Ends the session of a refresh token of any generation for a client that may.
    func revoke(refreshToken text: String, by actor: AuditActor) async throws {
        guard let token = try coder.read(text) else { return }
        let now = now()
        let (_, ending) = try await store.end(
            token, everywhere: false, reason: .revoked,
            audit: { AuditRecord(.sessionsRevoked, by: actor, subject: $0, session: token.sessionName, at: now) },
            at: now)
        didEnd(ending)
    }

    /// What was made durable counts on this node at once.
    func didEnd(_ ending: SessionStore.Ending?) {
        guard let ending else { return }
        statusLists.set(ending.bits)
        metrics.sessionsEnded(ending.bits.count, cause: ending.record.event.rawValue)
        audit.tell(ending.record)
    }

    /// What a refresh token would be good for now, and for whom; `nil` where it would be refused.
    func grant(ofRefreshToken text: String) async throws -> (SessionGrant, userName: String)? {
        guard let token = try coder.read(text) else { return nil }
        return try await store.grant(of: token, at: now())
    }

    /// The name of the user whose access token this is; `nil` where the session was ended.
    func userName(sessionID: String, userID: String) async throws -> String? {
        try await store.userName(sessionID: sessionID, userID: userID)
    }

    /// The caller's live sessions.
    func sessions(of caller: Caller) async throws -> [SessionRecord] {
        try await store.sessions(ofUser: caller.userID, at: now())
    }
}
