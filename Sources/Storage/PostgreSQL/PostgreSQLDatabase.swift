internal import Foundation

/// The driver for PostgreSQL: a few connections, each with a thread of its own, and a queue of transactions before them.
///
/// Writes run at READ COMMITTED: stores decide inside their statements, which wait for one another's rows. Where two
/// transactions are in each other's way nevertheless, or a connection breaks before the commit, the transaction is run
/// again. It works through PgBouncer in transaction mode: nothing outlives a transaction but prepared statements, and
/// where a pooler forgets those they are given up.
public final class PostgreSQLDatabase: Database {
    private let url: String
    private let queue: JobQueue
    private let watch: Task<Void, Never>

    /// How the driver behaves.
    public struct Options: Sendable {
        /// How many connections there are at the most.
        public var connections = 8
        /// Whether statements are prepared once a connection. Poolers before PgBouncer 1.21 don't know them.
        public var preparesStatements = true
        /// How long a transaction may wait for a connection.
        public var queueTimeout = Duration.seconds(5)
        /// How long a statement may take.
        public var statementTimeout = Duration.seconds(10)
        /// How many transactions may wait.
        public var queueLimit = 4096

        public init() {}
    }

    /// Connects when there is something to do.
    ///
    /// - Parameter url: `postgres://…` as libpq takes it, with several hosts, TLS and passwords from files.
    public init(url: String, options: Options = Options()) {
        self.url = url
        let queue = JobQueue(limit: options.queueLimit)
        self.queue = queue
        for number in 1...max(1, options.connections) {
            let worker = Worker(url: url, options: options, queue: queue)
            let thread = Thread { worker.run() }
            thread.name = "postgresql-\(number)"
            thread.start()
        }
        // Where every connection is stuck, somebody else has to say no.
        watch = Task {
            while !Task.isCancelled {
                queue.failExpired()
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        queueTimeout = options.queueTimeout
    }

    private let queueTimeout: Duration

    deinit {
        watch.cancel()
        queue.close()
    }

    public func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result { try await run(isWrite: false, body) }

    public func write<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result { try await run(isWrite: true, body) }

    private func run<Result: Sendable>(
        isWrite: Bool, _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.append(
                Job(
                    isWrite: isWrite, deadline: .now + queueTimeout,
                    run: { connection in
                        let result = try body(connection)
                        return { continuation.resume(returning: result) }
                    }, fail: { continuation.resume(throwing: $0) }))
        }
    }

    public func changes(at url: String?) -> AsyncStream<Void> { PostgreSQLListener(url: url ?? self.url).changes }

    public func close() throws {
        watch.cancel()
        queue.close()
    }
}

/// A transaction that hasn't started yet: `run` does its statements and returns what to call after the commit.
private struct Job: Sendable {
    let isWrite: Bool
    /// Until when it waits for a connection.
    let deadline: ContinuousClock.Instant
    let run: @Sendable (any Connection) throws -> @Sendable () -> Void
    let fail: @Sendable (any Error) -> Void
}

/// The transactions that wait for a connection.
private final class JobQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: ArraySlice<Job> = []
    private var isClosed = false
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    private static let closed = StorageError(.unavailable, "the database was closed")
    private static let overloaded = StorageError(.unavailable, "too many transactions wait for the database")

    private func locked<Value>(_ body: () -> Value) -> Value {
        condition.lock()
        defer { condition.unlock() }
        return body()
    }

    func append(_ job: Job) {
        let refusal: StorageError? = locked {
            if isClosed { return Self.closed }
            guard jobs.count < limit else { return Self.overloaded }
            jobs.append(job)
            condition.signal()
            return nil
        }
        if let refusal { job.fail(refusal) }
    }

    /// The next one, as soon as there is one; `nil` once the queue is closed.
    func next() -> Job? {
        locked {
            while jobs.isEmpty, !isClosed { condition.wait() }
            return jobs.popFirst()
        }
    }

    func failExpired() {
        let now = ContinuousClock.now
        let expired: ArraySlice<Job> = locked {
            // All wait for as long, so the oldest are in front.
            let count = jobs.prefix { $0.deadline <= now }.count
            let expired = jobs.prefix(count)
            jobs = jobs.dropFirst(count)
            return expired
        }
        for job in expired { job.fail(Self.overloaded) }
    }

    func close() {
        let waiting: ArraySlice<Job> = locked {
            isClosed = true
            condition.broadcast()
            defer { jobs = [] }
            return jobs
        }
        for job in waiting { job.fail(Self.closed) }
    }
}

/// One connection, and the loop of its thread.
private final class Worker: @unchecked Sendable {
    private let url: String
    private let queue: JobQueue
    private let limits: String
    private var prepares: Bool
    private var connection: PostgreSQLConnection?
    private var backOff = BackOff()

    /// How often a transaction is run before its failure is told.
    private static let maximumAttempts = 6

    init(url: String, options: PostgreSQLDatabase.Options, queue: JobQueue) {
        self.url = url
        self.queue = queue
        prepares = options.preparesStatements
        // SET LOCAL ends with the transaction, so that a pooler's next client isn't concerned.
        limits = "; SET LOCAL statement_timeout = \(options.statementTimeout.components.seconds * 1000)"
    }

    func run() {
        while let job = queue.next() { perform(job) }
    }

    private func perform(_ job: Job) {
        for attempt in 1... {
            do {
                let answer = try transact(job)
                answer()
                return
            } catch let error as PostgreSQLFailure {
                let mayRetry = recover(from: error, job)
                guard mayRetry, attempt < Self.maximumAttempts, ContinuousClock.now < job.deadline + .seconds(5) else {
                    job.fail(error.storageError)
                    return
                }
                if error.isConflict { Thread.sleep(forTimeInterval: Double.random(in: 0...0.01) * Double(attempt)) }
            } catch {
                rollBack()
                job.fail(error)
                return
            }
        }
    }

    /// Runs a transaction once.
    private func transact(_ job: Job) throws -> @Sendable () -> Void {
        let connection = try connected()
        try connection.run((job.isWrite ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") + limits)
        let answer = try job.run(connection)
        do {
            guard try connection.run("COMMIT") == "COMMIT" else {
                throw StorageError(.unexpected, "the transaction was rolled back: one of its statements had failed")
            }
        } catch let error as PostgreSQLFailure where error.isOfConnection {
            self.connection = nil
            // Nobody can tell: run again, it might be done twice.
            throw StorageError(
                .unavailable, "the connection to the database broke at the commit; whether it was done isn't known")
        }
        return answer
    }

    private func connected() throws -> PostgreSQLConnection {
        if let connection, connection.isAlive { return connection }
        connection = nil
        try backOff.check()
        do {
            let fresh = try PostgreSQLConnection(url: url, prepares: prepares)
            backOff = BackOff()
            connection = fresh
            return fresh
        } catch let error as StorageError {
            backOff.fail(error)
            throw error
        }
    }

    /// - Returns: whether the transaction may be run again.
    private func recover(from error: PostgreSQLFailure, _ job: Job) -> Bool {
        rollBack()
        if error.isForgottenStatement, prepares {
            prepares = false
            connection = nil
            return true
        }
        if error.isOfConnection || error.isReadOnly && job.isWrite {
            connection = nil
            return true
        }
        return error.isConflict
    }

    private func rollBack() {
        guard let open = connection, open.isInTransaction else { return }
        do { try open.run("ROLLBACK") } catch { connection = nil }
    }
}

/// When to try again to connect: the next at once, then after a time that doubles.
struct BackOff {
    private var failures = 0
    private var last: (error: StorageError, until: ContinuousClock.Instant)?

    /// - Throws: the last failure, while another try has no sense.
    func check() throws {
        if let last, ContinuousClock.now < last.until { throw last.error }
    }

    mutating func fail(_ error: StorageError) {
        failures += 1
        last = (error, .now + .milliseconds(min(100 << min(failures, 5), 2000)))
    }
}
