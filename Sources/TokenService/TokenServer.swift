internal import Foundation
internal import HTTPTypes
public import Hummingbird
public import JOSE
public import KeyService
public import Logging
internal import HummingbirdCore
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
        keys = try await KeyService(
            store: keyStore, planner: KeyPlanner(schedule: settings.keySchedule), now: now, logger: logger)
        hasher = PasswordHasher(cost: settings.passwordCost, concurrency: settings.passwordConcurrency)
    }

    private var sessionStore: SessionStore {
        SessionStore(
            database: database,
            lifetimes: SessionLifetimes(
                total: settings.refreshTokenLifetime, idle: settings.refreshTokenIdleLifetime,
                grace: settings.refreshGrace))
    }

    /// The routes of an issuer that listens at a URL.
    public func router(listeningAt url: String) throws -> Router<ServiceRequestContext> {
        let issuer = settings.issuer ?? url
        let audience = settings.audience ?? issuer
        let schedule = settings.keySchedule
        let policy = JWTPolicy(
            issuer: issuer, audiences: [audience], leeway: schedule.clockLeeway,
            requiredClaims: ["sub", "client_id", "iat", "jti", "sid"])
        let sessions = try Sessions(
            store: sessionStore, secret: secret,
            issuer: TokenIssuer(issuer: issuer, audience: audience, lifetime: schedule.tokenLifetime, keys: keys),
            now: now,
            logger: logger)
        let auth = AuthRoutes(
            accounts: Accounts(users: UserStore(database: database), hasher: hasher, now: now), sessions: sessions,
            authentication: BearerAuthentication(
                verifier: TokenVerifier(keys: OwnKeys(keys: keys), policy: policy), now: now))
        let published = PublishedRoutes(
            issuer: issuer, jwksMaxAge: schedule.jwksMaxAge, keys: keys, database: database)
        return Route.router(auth.routes + published.routes)
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
                    responder.begin(try router(listeningAt: url).buildResponder())
                    onListening(url)
                } catch {
                    logger.critical("can't serve: \(error)")
                }
            },
            logger: quietLogger)
        try await ServiceGroup(
            configuration: .init(
                services: [application, BackgroundWork(keys: keys, sessions: sessionStore, now: now, logger: logger)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger)
        ).run()
    }

    /// Looks once at what changed in the stores, as ``run(onListening:)`` does every second.
    func refresh() async throws { try await keys.refresh() }

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

/// What goes on beside the requests: watching and rotating the keys, forgetting old sessions.
private struct BackgroundWork: Service {
    let keys: KeyService
    let sessions: SessionStore
    let now: @Sendable () -> Instant
    let logger: Logger

    private static let sweepInterval = Duration.seconds(600)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            try? await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await keys.run() }
                group.addTask { try await sweep() }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    private func sweep() async throws {
        while !Task.isCancelled {
            do {
                while try await sessions.removeExpired(at: now()) > 0 { try await Task.sleep(for: .seconds(1)) }
            } catch is CancellationError {
                return
            } catch {
                logger.error("can't remove expired sessions: \(error)")
            }
            try await Task.sleep(for: Self.sweepInterval)
        }
    }
}
