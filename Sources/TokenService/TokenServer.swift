internal import Foundation
internal import HTTPTypes
internal import Hummingbird
public import JOSE
public import KeyService
public import Logging
internal import HummingbirdCore
internal import NIOCore
internal import ServiceLifecycle
public import Storage
internal import UnixSignals

/// The running service: everything put together.
public struct TokenServer: Sendable {
    let settings: Settings
    let secret: MasterSecret
    let database: any Database
    let keys: KeyService
    let hasher: PasswordHasher
    let limiter: LogInLimiter
    let statusListStore: StatusListStore
    let audit: AuditLog
    /// `nil` for plain HTTP.
    let certificate: CertificateWatch?
    let metrics: ServiceMetrics
    /// What ``metrics`` are kept in; `nil` where there are none.
    let counted: PrometheusMetrics?
    /// How many sessions go on, as it was asked last.
    let liveSessions = Locked<Int?>(nil)
    /// How many connections there may be.
    let maximumConnections: Int
    /// The status lists of the routes, once their URL is known.
    let statusLists = Locked<StatusLists?>(nil)
    let now: @Sendable () -> Instant
    let logger: Logger

    /// Prepares what the routes need.
    ///
    /// - Parameters:
    ///   - database: migrated.
    ///   - certificate: the one of the settings.
    ///   - counted: what ``metrics`` are kept in and `/metrics` is made of, where the settings want it.
    public init(
        settings: Settings, secret: MasterSecret, database: any Database, keyStore: any KeyStore,
        certificate: ServerCertificate? = nil, counted: PrometheusMetrics? = nil,
        now: @escaping @Sendable () -> Instant, logger: Logger
    ) async throws {
        self.settings = settings
        self.secret = secret
        let counted = settings.hasMetrics ? counted : nil
        self.counted = counted
        let metrics = counted.map { ServiceMetrics($0) } ?? .none
        self.metrics = metrics
        let database: any Database = counted == nil ? database : MeasuredDatabase(base: database, metrics: metrics)
        self.database = database
        self.now = now
        maximumConnections = min(settings.maximumConnections, Self.possibleConnections())
        self.logger = logger
        self.certificate = certificate.map { CertificateWatch($0, now: now, logger: logger) }
        let audit = AuditLog(database: database, logger: logger, metrics: metrics)
        self.audit = audit
        keys = try await KeyService(
            store: keyStore, knownKeys: KnownKeys(database: database),
            planner: KeyPlanner(schedule: settings.keySchedule), now: now, logger: logger,
            didMake: { key in
                do {
                    try await audit.write(AuditRecord(.keyMade, by: .service, subject: key.keyID.rawValue, at: now()))
                } catch {
                    logger.error("the audit log has no record of the key \(key.keyID): \(error)")
                }
            })
        hasher = PasswordHasher(
            cost: settings.passwordCost, concurrency: settings.passwordConcurrency, metrics: metrics)
        limiter = try LogInLimiter(database: database, rate: settings.logInRate, secret: secret)
        statusListStore = StatusListStore(database: database, address: settings.database)
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is under way. SIGHUP reads keys and certificate again.
    ///
    /// - Parameter onListening: called with the URL once connections are taken.
    public func run(onListening: @escaping @Sendable (String) -> Void) async throws {
        await certificate?.look()
        if certificate == nil, !settings.listen.isLoopback {
            logger.warning(
                "this is plain HTTP on \(settings.listen.host): only what comes through a proxy with TLS can't be read on the way"
            )
        }
        let failure = Locked<(any Error)?>(nil)
        let door = FrontDoor(maximumRequests: settings.maximumRequests, metrics: metrics)
        let application = Application(
            responder: door, server: Listener.builder(certificate: certificate?.certificate) { door.isCrowded },
            configuration: ApplicationConfiguration(
                address: .hostname(settings.listen.host, port: settings.listen.port),
                availableConnectionsDelegate: ConnectionLimit(maximum: maximumConnections, metrics: metrics)),
            onServerRunning: { [self] channel in
                // With port 0 the issuer is known only now.
                let url = settings.url(port: channel.localAddress?.port ?? settings.listen.port)
                do {
                    door.open(to: try await router(listeningAt: url).buildResponder())
                    onListening(url)
                } catch {
                    failure.withLock { $0 = error }
                    channel.close(promise: nil)
                }
            },
            logger: quietLogger)
        var configuration = ServiceGroupConfiguration(
            services: [OnEventLoops(service: application), BackgroundWork(server: self)],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger)
        configuration.maximumGracefulShutdownDuration = settings.shutdownTimeout
        do { try await ServiceGroup(configuration: configuration).run() } catch {
            throw failure.withLock { $0 } ?? error
        }
    }

    /// Looks once at what changed in the stores, as ``run(onListening:)`` does every second.
    func refresh() async throws {
        try await keys.refresh()
        try await statusLists.withLock { $0 }?.refresh()
    }

    /// Forgets what is over: sessions, status bits, failed log-ins, used assertions, old audit records.
    func sweep() async throws {
        let leeway = settings.keySchedule.clockLeeway
        let sessions = SessionStore(database: database, settings: settings)
        try await limiter.removeExpired(at: now())
        try await statusListStore.removeExpired(at: now(), clockLeeway: leeway)
        try await ClientStore(database: database).removeExpired(at: now())
        // A batch at a time, so that requests get their turn in between; the last one isn't full.
        while try await sessions.removeExpired(at: now(), clockLeeway: leeway) {
            try await Task.sleep(for: .seconds(1))
        }
        while try await audit.removeRecords(before: now() - settings.auditRetention) {
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Counts the sessions that go on, for the metrics.
    func countSessions() async throws {
        guard counted != nil else { return }
        let count = try await SessionStore(database: database, settings: settings).liveCount(at: now())
        liveSessions.withLock { $0 = count }
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
                for await _ in database.changes(at: settings.databaseListen) {
                    await failures.watching("can't read what other nodes announced") { try await refresh() }
                    // However many announcements come, they are looked at no more often than this.
                    try await Task.sleep(for: .milliseconds(50))
                }
                // There is nobody to hear: polling has to do.
                while true { try await Task.sleep(for: .seconds(3600)) }
            }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sighup) {
                    logger.notice("SIGHUP: reading keys and certificate again")
                    await failures.watching("can't read keys and status lists again") { try await refresh() }
                    await certificate?.reload()
                }
            }
            if let certificate {
                group.addTask { try await Self.every(.seconds(1)) { await certificate.look() } }
            }
            group.addTask {
                try await Self.every(Self.sweepInterval) {
                    await failures.watching("can't forget what is over") { try await sweep() }
                    await failures.watching("can't count the sessions") { try await countSessions() }
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
    private static func possibleConnections() -> Int {
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
