internal import Foundation

/// One connection, and the loop of its thread.
final class PostgreSQLWorker: @unchecked Sendable {
    private let url: String
    private let queue: TransactionQueue
    /// What holds for each transaction.
    private let settings: PostgreSQLStatement
    /// How long the server may take to answer before it is given up.
    private let patience: Duration
    private var prepares: Bool
    private var connection: PostgreSQLConnection? {
        didSet { queue.count((connection == nil ? 0 : 1) - (oldValue == nil ? 0 : 1)) }
    }
    private var backOff = BackOff()

    /// How often a transaction is run before its failure is told.
    private static let maximumAttempts = 6

    init(url: String, options: PostgreSQLDatabase.Options, queue: TransactionQueue) {
        self.url = url
        self.queue = queue
        prepares = options.preparesStatements
        patience = options.statementTimeout + .seconds(1)
        // They end with the transaction, so that a pooler's next client isn't concerned. And what is acknowledged has to
        // stay, though the role's default may be otherwise.
        settings = PostgreSQLStatement(
            """
            SELECT set_config('statement_timeout', '\(options.statementTimeout.components.seconds * 1000)', true),
                CASE WHEN current_setting('synchronous_commit') = 'off'
                    THEN set_config('synchronous_commit', 'on', true) END
            """)
    }

    func run() {
        while let transaction = queue.next() { perform(transaction) }
    }

    private func perform(_ transaction: WaitingTransaction) {
        for attempt in 1... {
            do {
                let answer = try transact(transaction)
                answer()
                return
            } catch let error as PostgreSQLFailure {
                let mayRetry = recover(from: error, transaction)
                guard mayRetry, attempt < Self.maximumAttempts, ContinuousClock.now < transaction.deadline + .seconds(5)
                else {
                    transaction.fail(error.storageError)
                    return
                }
                if error.isConflict { Thread.sleep(forTimeInterval: Double.random(in: 0...0.01) * Double(attempt)) }
            } catch let error as NoConnection {
                // Whose connection is there does it; this one stands back until it may try again.
                guard queue.takeBack(transaction) else { return transaction.fail(error.reason) }
                return Thread.sleep(forTimeInterval: min(backOff.remaining, 0.5))
            } catch {
                rollBack()
                transaction.fail(error)
                return
            }
        }
    }

    private static let beginRead = PostgreSQLStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    private static let beginWrite = PostgreSQLStatement("BEGIN")

    /// Runs a transaction once.
    private func transact(_ transaction: WaitingTransaction) throws -> @Sendable () -> Void {
        let connection: PostgreSQLConnection
        do { connection = try connected() } catch let error as StorageError { throw NoConnection(reason: error) }
        connection.patience = patience
        connection.begin(
            PostgreSQLTransaction(
                opening: [transaction.isWrite ? Self.beginWrite : Self.beginRead, settings],
                isOneStatement: transaction.isOneStatement))
        let answer = try transaction.run(connection)
        do {
            connection.patience = patience
            try connection.commit()
        } catch let error as PostgreSQLFailure where error.isOfConnection {
            self.connection = nil
            // Nobody can tell: run again, it might be done twice.
            throw StorageError(
                .unavailable, "the connection to the database broke at the commit; whether it was done isn't known")
        }
        return answer
    }

    private struct NoConnection: Error {
        let reason: StorageError
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
    private func recover(from error: PostgreSQLFailure, _ transaction: WaitingTransaction) -> Bool {
        rollBack()
        if error.isForgottenStatement, prepares {
            prepares = false
            connection = nil
            return true
        }
        if error.isOfConnection || error.isReadOnly && transaction.isWrite {
            connection = nil
            return true
        }
        return error.isConflict
    }

    private func rollBack() {
        do { try connection?.rollBack() } catch { connection = nil }
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

    /// How long another try has no sense, in seconds.
    var remaining: Double {
        guard let last, last.until > .now else { return 0 }
        return (last.until - .now) / .seconds(1)
    }

    mutating func fail(_ error: StorageError) {
        failures += 1
        last = (error, .now + .milliseconds(min(100 << min(failures, 5), 2000)))
    }
}
