internal import CPostgreSQL
internal import Foundation

/// One connection of libpq's, in its pipeline mode: statements that needn't wait for one another's answers are sent
/// together. It is used by one thread at a time.
final class PostgreSQLConnection: Connection {
    private let handle: OpaquePointer
    /// Whether statements are prepared once, and then named.
    private let prepares: Bool
    /// The names of the prepared statements.
    private var prepared: [PostgreSQLStatement.Key: String] = [:]
    private var transaction = PostgreSQLTransaction()

    /// The most statements that are kept prepared.
    private static let maximumPrepared = 500

    /// Connects. Takes up to `connect_timeout` for each host.
    ///
    /// - Parameter url: as libpq takes it, several hosts included.
    /// - Throws: ``StorageError`` `unavailable`.
    init(url: String, prepares: Bool) throws {
        self.prepares = prepares
        // What comes before the URL the URL may replace, what comes after counts.
        let settings = [
            ("connect_timeout", "5"), ("target_session_attrs", "read-write"), ("keepalives_idle", "30"),
            ("tcp_user_timeout", "15000"), ("dbname", url), ("client_encoding", "UTF8"),
            ("fallback_application_name", "token-service"),
        ]
        let connected = Self.withCStrings(settings.map(\.0)) { names in
            Self.withCStrings(settings.map(\.1)) { values in PQconnectdbParams(names, values, 1) }
        }
        guard let connected else { throw StorageError(.unavailable, "no memory for a connection to the database") }
        guard PQstatus(connected) == CONNECTION_OK else {
            let reason = Self.line(PQerrorMessage(connected))
            PQfinish(connected)
            throw StorageError(.unavailable, "can't connect to the database: \(reason)")
        }
        handle = connected
        // Notices are for people at a terminal.
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        PQenterPipelineMode(handle)
    }

    deinit { PQfinish(handle) }

    /// Whether libpq can read a URL.
    static func takes(url: String) -> Bool {
        guard let options = PQconninfoParse(url, nil) else { return false }
        defer { PQconninfoFree(options) }
        var option = options
        while let name = option.pointee.keyword {
            let value = option.pointee.val.map { String(cString: $0) } ?? ""
            switch String(cString: name) {
            case "port":
                let ports = value.split(separator: ",", omittingEmptySubsequences: false)
                guard ports.allSatisfy({ $0.isEmpty || UInt16($0) != nil }) else { return false }
            // The rest of a password that isn't encoded.
            case "dbname", "host": guard !value.contains("@") else { return false }
            default: break
            }
            option += 1
        }
        return true
    }

    /// How long the server may take to answer a statement.
    var patience = Duration.seconds(15)
    private var isGivenUp = false

    /// Whether the server still answers, as far as is known.
    var isAlive: Bool { PQstatus(handle) == CONNECTION_OK && !isGivenUp }

    // MARK: Transactions

    /// Begins a transaction; nothing is sent before its first statement.
    func begin(_ transaction: PostgreSQLTransaction) { self.transaction = transaction }

    /// Commits what isn't committed yet.
    ///
    /// - Throws: ``StorageError`` where a statement had failed, ``PostgreSQLFailure``.
    func commit() throws {
        guard transaction.failure == nil else {
            throw StorageError(.unexpected, "the transaction was rolled back: one of its statements had failed")
        }
        if isInTransaction { try exchange([Self.commit]) }
    }

    func rollBack() throws {
        if isAlive, isInTransaction { try exchange([PostgreSQLStatement("ROLLBACK")]) }
    }

    private static let commit = PostgreSQLStatement("COMMIT")

    private var isInTransaction: Bool { PQtransactionStatus(handle) != PQTRANS_IDLE }

    // MARK: Statements

    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [Row] { try execute(sql, parameters).rows }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
        let result: PostgreSQLResult = try execute(sql, parameters)
        return result.changedCount
    }

    func hold(_ lock: TransactionLock) throws {
        // Large tables take their time, and so does who waits for them.
        if lock == .schema { try takeTime() }
        // The first number keeps other programs' locks apart.
        let _: PostgreSQLResult = try execute(
            "SELECT pg_advisory_xact_lock(CAST($1 AS INT), CAST($2 AS INT))",
            [.integer(0x746F6B), .integer(lock.rawValue)])
    }

    func takeTime() throws {
        try execute("SET LOCAL statement_timeout = 0")
        patience = .seconds(600)
    }

    func announceChange() throws {
        let _: PostgreSQLResult = try execute("SELECT pg_notify($1, '')", [.text(PostgreSQLListener.channel)])
    }

    var timeline: String? {
        get throws {
            try query("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline", []).first?
                .text("timeline")
        }
    }

    /// Waits for a notification.
    ///
    /// - Returns: whether one came; `false` after the time.
    /// - Throws: ``PostgreSQLFailure`` where the connection is gone.
    func waitForNotification(milliseconds: Int32) throws -> Bool {
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, milliseconds)
        guard PQconsumeInput(handle) == 1, isAlive else {
            throw PostgreSQLFailure(state: "", message: Self.line(PQerrorMessage(handle)))
        }
        var hasCome = false
        while let notification = PQnotifies(handle) {
            hasCome = true
            PQfreemem(notification)
        }
        return hasCome
    }

    private func execute(_ sql: String, _ parameters: [SQLValue]) throws -> PostgreSQLResult {
        if let failure = transaction.failure { throw failure }
        let statement = PostgreSQLStatement(sql, try BoundParameters(parameters))
        let opening = transaction.opening
        transaction.opening = []
        do {
            let results = try exchange(opening + [statement] + (transaction.isOneStatement ? [Self.commit] : []))
            return results[opening.count]
        } catch let failure as PostgreSQLFailure {
            transaction.failure = failure
            throw failure
        }
    }

    /// Sends statements together, and waits for what the server says to each; after one that fails it runs no more.
    ///
    /// - Throws: ``PostgreSQLFailure``; where the server says nothing for too long, as where the connection is gone.
    @discardableResult
    private func exchange(_ statements: [PostgreSQLStatement]) throws -> [PostgreSQLResult] {
        let deadline = ContinuousClock.now + patience
        // Given up until all was said: what is left in the pipeline would be taken for another statement's answer.
        isGivenUp = true
        let preparing = try statements.map(send)
        guard PQpipelineSync(handle) == 1 else { throw failure(PostgreSQLResult(nil)) }
        var failed: PostgreSQLResult?
        let results = try zip(statements, preparing).map { statement, name in
            if let name {
                let answer = try answer(until: deadline)
                if answer.isSuccess { prepared[statement.key] = name } else { failed = failed ?? answer }
            }
            let answer = try answer(until: deadline)
            if !answer.isSuccess { failed = failed ?? answer }
            return answer
        }
        guard try next(until: deadline).isEndOfPipeline else { throw failure(PostgreSQLResult(nil)) }
        isGivenUp = false
        if let failed { throw failure(failed) }
        return results
    }

    /// - Returns: the name under which it is being prepared; `nil` where it needn't be.
    private func send(_ statement: PostgreSQLStatement) throws -> String? {
        let parameters = statement.parameters
        var name = prepared[statement.key]
        var preparing: String?
        // Statements of many rows are seldom the same twice.
        if name == nil, prepares, prepared.count < Self.maximumPrepared, parameters.count <= 64 {
            preparing = statement.key.name
            name = preparing
        }
        let wasSent = parameters.withPointers { types, values, lengths, formats in
            let count = Int32(parameters.count)
            if let preparing, PQsendPrepare(handle, preparing, statement.key.sql, count, types) != 1 { return false }
            // The last argument asks for binary results.
            return if let name {
                PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1) == 1
            } else {
                PQsendQueryParams(handle, statement.key.sql, count, types, values, lengths, formats, 1) == 1
            }
        }
        guard wasSent else { throw failure(PostgreSQLResult(nil)) }
        return preparing
    }

    /// What the server says to one thing that was sent.
    private func answer(until deadline: ContinuousClock.Instant) throws -> PostgreSQLResult {
        let answer = try next(until: deadline)
        // It ends with none.
        while try !next(until: deadline).isNone {}
        return answer
    }

    private func next(until deadline: ContinuousClock.Instant) throws -> PostgreSQLResult {
        while PQisBusy(handle) == 1 {
            var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, 1000)
            guard PQconsumeInput(handle) == 1 else { throw failure(PostgreSQLResult(nil)) }
            if ContinuousClock.now >= deadline {
                throw PostgreSQLFailure(state: "", message: "the server doesn't answer")
            }
        }
        return PostgreSQLResult(PQgetResult(handle))
    }

    private func failure(_ result: PostgreSQLResult) -> PostgreSQLFailure {
        // Whatever it said last: a connection that the server has closed is of no use any more.
        PostgreSQLFailure(
            state: isAlive ? result.sqlState : "", message: result.message ?? Self.line(PQerrorMessage(handle)))
    }

    /// What libpq says, in one line.
    private static func line(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "" }
        return String(cString: text).split(whereSeparator: \.isNewline).map { $0.drop { $0 == "\t" || $0 == " " } }
            .joined(separator: "; ")
    }

    private static func withCStrings<Value>(
        _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Value
    ) -> Value {
        let copies = texts.map { $0.utf8CString }
        func lend(_ index: Int, _ pointers: [UnsafePointer<CChar>?]) -> Value {
            guard index < copies.count else {
                return (pointers + [nil]).withUnsafeBufferPointer { body($0.baseAddress!) }
            }
            return copies[index].withUnsafeBufferPointer { lend(index + 1, pointers + [$0.baseAddress]) }
        }
        return lend(0, [])
    }
}
