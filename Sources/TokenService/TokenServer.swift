internal import Foundation
internal import HTTPTypes
public import Hummingbird
public import JOSE
public import KeyService
public import Logging
internal import HummingbirdCore
internal import HummingbirdTokenVerifier
internal import NIOCore
internal import ServiceLifecycle
public import Storage
internal import TokenVerifier
internal import UnixSignals

/// The running service: everything put together.
public struct TokenServer: Sendable {
    private let settings: Settings
    private let secret: MasterSecret
    private let database: any Database
    private let keys: KeyService
    private let hasher: PasswordHasher
    private let limiter: LogInLimiter
    private let statusListStore: StatusListStore
    private let audit: AuditLog
    /// The status lists of the routes, once their URL is known.
    private let statusLists = Locked<StatusLists?>(nil)
    private let now: @Sendable () -> Instant
    private let logger: Logger

    /// Prepares what the routes need.
    ///
    /// - Parameter database: migrated.
    public init(
        settings: Settings, secret: MasterSecret, database: any Database, keyStore: any KeyStore,
        now: @escaping @Sendable () -> Instant, logger: Logger
    ) async throws {
        self.settings = settings
        self.secret = secret
        self.database = database
        self.now = now
        self.logger = logger
        let audit = AuditLog(database: database, logger: logger)
        self.audit = audit
        keys = try await KeyService(
            store: keyStore, planner: KeyPlanner(schedule: settings.keySchedule), now: now, logger: logger,
            didMake: { key in
                do {
                    try await audit.write(AuditRecord(.keyMade, by: .service, subject: key.keyID.rawValue, at: now()))
                } catch {
                    logger.error("the audit log has no record of the key \(key.keyID): \(error)")
                }
            })
        hasher = PasswordHasher(cost: settings.passwordCost, concurrency: settings.passwordConcurrency)
        limiter = try LogInLimiter(database: database, rate: settings.logInRate, secret: secret)
        statusListStore = StatusListStore(database: database, address: settings.database)
    }

    /// The routes of an issuer that listens at a URL.
    public func router(listeningAt url: String) async throws -> Router<ServiceRequestContext> {
        let issuer = settings.issuer ?? url
        let audience = settings.audience ?? issuer
        let schedule = settings.keySchedule
        let policy = JWTPolicy(
            issuer: issuer, audiences: [audience], leeway: schedule.clockLeeway,
            requiredClaims: ["sub", "client_id", "iat", "jti", "sid", "status"])
        let tokenIssuer = TokenIssuer(
            issuer: issuer, audience: audience, lifetime: schedule.tokenLifetime, keys: keys)
        let lists = StatusLists(
            store: statusListStore, issuer: tokenIssuer, ttl: settings.statusTTL, clockLeeway: schedule.clockLeeway,
            now: now)
        // Where that fails, the background goes on to try, and nothing is told of sessions until then.
        do { try await lists.refresh() } catch { logger.error("can't read the status lists: \(error)") }
        statusLists.withLock { $0 = lists }
        let (cookies, origins) = (
            SessionCookies(issuer: issuer), Origins(issuer: issuer, allowed: settings.corsOrigins)
        )
        let (ownKeys, source) = (OwnKeys(keys), AccessTokenSource(cookieName: cookies.accessName))
        let verifier = TokenVerifier<NoClaims>(
            policy: policy, keys: ownKeys,
            statuses: OwnStatuses(lists: lists, listsURL: tokenIssuer.statusListsURL), now: now)
        let auth = AuthRoutes(
            authenticator: Authenticator(
                users: UserStore(database: database), hasher: hasher, limiter: limiter,
                decoys: try Decoys(secret: secret), audit: audit, now: now),
            sessions: Sessions(
                store: SessionStore(database: database, settings: settings),
                coder: try RefreshTokenCoder(secret: secret), issuer: tokenIssuer,
                indexes: StatusIndexes(store: statusListStore, now: now, didLease: lists.add), statusLists: lists,
                audit: audit, now: now),
            authentication: Authentication(
                verifier: verifier,
                verifierOfEnded: TokenVerifier(
                    policy: policy, keys: ownKeys, statuses: nil, cacheCapacity: 0, now: now),
                source: source, origins: origins),
            cookies: cookies, origins: origins, clientAddress: ClientAddress(trustedProxies: settings.trustedProxies))
        let published = PublishedRoutes(
            issuer: issuer, jwksMaxAge: schedule.jwksMaxAge, keys: keys, database: database, statusLists: lists,
            now: now)
        return Route.router(
            auth.routes + published.routes, origins: origins, protection: TokenMiddleware(verifier, source: source))
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is under way.
    ///
    /// - Parameter onListening: called with the URL once connections are taken.
    public func run(onListening: @escaping @Sendable (String) -> Void) async throws {
        let responder = DeferredResponder()
        let application = Application(
            responder: responder,
            server: .http1(configuration: .init(additionalChannelHandlers: [RequestDeadline()])),
            configuration: ApplicationConfiguration(
                address: .hostname(settings.listen.host, port: settings.listen.port),
                availableConnectionsDelegate: MaximumAvailableConnections(
                    Self.maximumConnections(), logger: quietLogger)),
            onServerRunning: { [self] channel in
                // With port 0 the issuer is known only now.
                let url = settings.listen.url(port: channel.localAddress?.port ?? settings.listen.port)
                do {
                    responder.begin(try await router(listeningAt: url).buildResponder())
                    onListening(url)
                } catch {
                    logger.critical("can't serve: \(error)")
                }
            },
            logger: quietLogger)
        try await ServiceGroup(
            configuration: .init(
                services: [application, BackgroundWork(server: self)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger)
        ).run()
    }

    /// Looks once at what changed in the stores, as ``run(onListening:)`` does every second.
    func refresh() async throws {
        try await keys.refresh()
        try await statusLists.withLock { $0 }?.refresh()
    }

    /// Forgets what is over: sessions, status bits, failed log-ins, old audit records.
    func sweep() async throws {
        let leeway = settings.keySchedule.clockLeeway
        let sessions = SessionStore(database: database, settings: settings)
        try await limiter.removeExpired(at: now())
        try await statusListStore.removeExpired(at: now(), clockLeeway: leeway)
        // A batch at a time, so that requests get their turn in between; the last one isn't full.
        while try await sessions.removeExpired(at: now(), clockLeeway: leeway) {
            try await Task.sleep(for: .seconds(1))
        }
        while try await audit.removeRecords(before: now() - settings.auditRetention) {
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Watches and rotates the keys, watches the status lists, and sweeps, until the task is cancelled.
    fileprivate func work() async throws {
        let failures = FailureReports(logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await keys.run() }
            group.addTask {
                try await Self.every(StatusLists.pollInterval) {
                    await failures.watching("can't read the status lists") {
                        try await statusLists.withLock { $0 }?.refresh()
                    }
                }
            }
            group.addTask {
                try await Self.every(Self.sweepInterval) {
                    await failures.watching("can't forget what is over") { try await sweep() }
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private static let sweepInterval = Duration.seconds(60)

    private static func every(_ interval: Duration, _ body: () async -> Void) async throws {
        while true {
            await body()
            try await Task.sleep(for: interval)
        }
    }

    /// Raises the limit of open files as far as it goes, and leaves some to the keys and the database: a server without a
    /// file left could neither take a connection nor turn it away.
    private static func maximumConnections() -> Int {
        let reserved = 64
        var limit = rlimit()
        #if os(Linux)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return 1024 - reserved }
        limit.rlim_cur = min(limit.rlim_max, 65_536)
        if setrlimit(resource, &limit) != 0 { _ = getrlimit(resource, &limit) }
        return max(Int(clamping: limit.rlim_cur) - reserved, reserved)
    }

    /// Lifecycle and server say little of use below warning.
    private var quietLogger: Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}

/// Answers once the routes are there, which is an instant after the first connection can be.
private final class DeferredResponder: HTTPResponder {
    private let responder = Locked<RouterResponder<ServiceRequestContext>?>(nil)

    func begin(_ responder: RouterResponder<ServiceRequestContext>) { self.responder.withLock { $0 = responder } }

    func respond(to request: Request, context: ServiceRequestContext) async throws -> Response {
        guard let responder = responder.withLock({ $0 }) else {
            return APIError.unavailable("the service is starting").response
        }
        return try await responder.respond(to: request, context: context)
    }
}

/// What goes on beside the requests.
private struct BackgroundWork: Service {
    let server: TokenServer

    func run() async throws {
        await cancelWhenGracefulShutdown { try? await server.work() }
    }
}

/// Reports a failure that comes again and again once, until it is over.
private actor FailureReports {
    private let logger: Logger
    private var failing: Set<String> = []

    init(logger: Logger) { self.logger = logger }

    nonisolated func watching(_ problem: String, _ body: () async throws -> Void) async {
        do {
            try await body()
            await isOver(problem)
        } catch is CancellationError {
            return
        } catch {
            await report(problem, error)
        }
    }

    private func isOver(_ problem: String) { failing.remove(problem) }

    private func report(_ problem: String, _ error: any Error) {
        if failing.insert(problem).inserted { logger.error("\(problem): \(error)") }
    }
}
