public import Hummingbird
internal import HummingbirdTokenVerifier
internal import JOSE
internal import KeyService
internal import Logging
internal import Storage
internal import TokenVerifier

extension TokenServer {
    /// The router of an issuer that listens at a URL.
    public func router(listeningAt url: String) async throws -> Router<ServiceRequestContext> {
        let issuer = settings.issuer ?? url
        let (routes, protection) = try await routes(issuer: issuer)
        return Route.router(routes, origins: origins(issuer), protection: protection, metrics: metrics)
    }

    private func origins(_ issuer: String) -> Origins { Origins(issuer: issuer, allowed: settings.corsOrigins) }

    /// Every route there is, and what stands before the protected ones.
    func routes(issuer: String) async throws -> (routes: [Route], protection: TokenMiddleware<ServiceRequestContext>) {
        let schedule = settings.keySchedule
        let tokenIssuer = TokenIssuer(
            issuer: issuer, audience: settings.audience ?? issuer, lifetime: schedule.tokenLifetime, keys: keys,
            metrics: metrics)
        let lists = StatusLists(
            store: statusListStore, issuer: tokenIssuer, ttl: settings.statusTTL, clockLeeway: schedule.clockLeeway,
            now: now)
        // Where that fails, the background goes on to try, and nothing is told of sessions until then.
        do { try await lists.refresh() } catch { logger.error("can't read the status lists: \(error)") }
        statusLists.withLock { $0 = lists }
        let verifiers = Verifiers(self, tokenIssuer, lists)
        let indexes = StatusIndexes(store: statusListStore, now: now, didLease: lists.add)
        lists.didChangeHistory.withLock { $0 = { await indexes.giveUpBlocks() } }
        let sessions = Sessions(
            store: SessionStore(database: database, settings: settings), coder: try RefreshTokenCoder(secret: secret),
            issuer: tokenIssuer, indexes: indexes, statusLists: lists, audit: audit, metrics: metrics, now: now)
        let (cookies, origins) = (SessionCookies(issuer: issuer), origins(issuer))
        let (address, source) = (
            ClientAddress(trustedProxies: settings.trustedProxies), AccessTokenSource(cookieName: cookies.accessName)
        )
        let auth = AuthRoutes(
            authenticator: Authenticator(
                users: UserStore(database: database), hasher: hasher, limiter: limiter,
                decoys: try Decoys(secret: secret), audit: audit, now: now),
            sessions: sessions,
            authentication: Authentication(
                verifier: verifiers.own, verifierOfEnded: verifiers.ownOrEnded, source: source, origins: origins),
            cookies: cookies, origins: origins, clientAddress: address)
        let clients = ClientAuthenticator(
            directory: ClientDirectory(
                store: ClientStore(database: database), indexes: indexes, statusLists: lists, audit: audit, now: now),
            assertions: ClientAssertions(
                audiences: [issuer, TokenIssuer.url(TokenEndpoint.path, issuer: issuer)],
                leeway: schedule.clockLeeway, now: now))
        let token = TokenEndpoint(
            clients: clients, sessions: sessions, issuer: tokenIssuer,
            exchange: TokenExchange(liveTokens: verifiers.live), clientAddress: address, now: now)
        let status = TokenStatusEndpoints(
            clients: clients, sessions: sessions, tokens: verifiers.liveOrEnded, issuer: tokenIssuer,
            clientAddress: address, now: now)
        let published = try PublishedRoutes(
            issuer: issuer, maxAge: schedule.jwksMaxAge, keys: keys, database: database, statusLists: lists, now: now)
        let documentation = try Documentation(issuer: issuer, maxAge: schedule.jwksMaxAge)
        let measured = counted.map { counted in
            MetricsDocument(
                counted: counted, keys: keys, schedule: schedule, statusLists: lists, liveSessions: liveSessions,
                limits: MetricsDocument.Limits(
                    connections: maximumConnections, requests: settings.maximumRequests,
                    passwords: hasher.maximumPending, databaseConnections: settings.databaseConnections),
                certificate: certificate, now: now)
        }
        return (
            auth.routes + token.routes + status.routes + published.routes + documentation.routes
                + (measured?.routes ?? []),
            TokenMiddleware(verifiers.own, source: source)
        )
    }
}

/// What verifies the service's own tokens.
private struct Verifiers {
    /// Those for the service itself.
    let own: TokenVerifier<NoClaims>
    /// All but the status bit: for a log-out, which may come twice.
    let ownOrEnded: TokenVerifier<NoClaims>
    /// Those for anybody.
    let live: OwnTokens
    let liveOrEnded: OwnTokens

    init(_ server: TokenServer, _ issuer: TokenIssuer, _ lists: StatusLists) {
        let keys = OwnKeys(server.keys)
        let statuses = OwnStatuses(lists: lists, listsURL: issuer.statusListsURL)
        func verifier(_ audiences: [String], _ statuses: OwnStatuses?, caches: Bool = true) -> TokenVerifier<NoClaims> {
            let policy = JWTPolicy(
                issuer: issuer.issuer, audiences: audiences, leeway: server.settings.keySchedule.clockLeeway,
                requiredClaims: ["sub", "client_id", "iat", "jti", "status"])
            return TokenVerifier(
                policy: policy, keys: keys, statuses: statuses, cacheCapacity: caches ? 10_000 : 0, now: server.now)
        }
        own = verifier([issuer.audience], statuses)
        ownOrEnded = verifier([issuer.audience], nil, caches: false)
        live = OwnTokens(verifier([], statuses), listsURL: issuer.statusListsURL)
        liveOrEnded = OwnTokens(verifier([], nil), listsURL: issuer.statusListsURL)
    }
}
