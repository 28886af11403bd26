internal import Foundation

/// The driver for PostgreSQL: a few connections, each with a thread of its own, and a queue of transactions before them.
///
/// Writes run at READ COMMITTED: stores decide inside their statements, which wait for one another's rows. Where two
/// transactions are in each other's way nevertheless, or a connection breaks before the commit, the transaction is run
/// again. BEGIN travels with the first statement, and where that is the only one COMMIT, too. It works through PgBouncer in
/// transaction mode: nothing outlives a transaction but prepared statements, and where a pooler forgets those they are given
/// up.
public final class PostgreSQLDatabase: Database {
    private let url: String
    private let queue: TransactionQueue
    private let queueTimeout: Duration
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
        public var statementTimeout = Duration.seconds(5)
        /// How many transactions may wait.
        public var queueLimit = 4096

        public init() {}
    }

    /// Connects when there is something to do.
    ///
    /// - Parameter url: `postgres://…` as libpq takes it, with several hosts, TLS and passwords from files.
    public init(url: String, options: Options = Options()) {
        self.url = url
        let queue = TransactionQueue(limit: options.queueLimit)
        self.queue = queue
        for number in 1...max(1, options.connections) {
            let worker = PostgreSQLWorker(url: url, options: options, queue: queue)
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

    public func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row] {
        try await run(isWrite: true, isOneStatement: true) { try $0.query(sql, parameters) }
    }

    private func run<Result: Sendable>(
        isWrite: Bool, isOneStatement: Bool = false, _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.append(
                WaitingTransaction(
                    isWrite: isWrite, isOneStatement: isOneStatement, deadline: .now + queueTimeout,
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
