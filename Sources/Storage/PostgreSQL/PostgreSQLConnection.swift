internal import CPostgreSQL
internal import Foundation

/// One connection of libpq's. It is used by one thread at a time.
final class PostgreSQLConnection: Connection {
    private let handle: OpaquePointer
    /// Whether statements are prepared once, and then named.
    var prepares: Bool
    /// The names of the prepared statements.
    private var prepared: [String: String] = [:]

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

    /// Whether a transaction is under way.
    var isInTransaction: Bool { PQtransactionStatus(handle) != PQTRANS_IDLE }

    /// Runs statements that have no parameters and no rows.
    ///
    /// - Returns: what the server says that it did: `COMMIT`.
    @discardableResult
    func run(_ sql: String) throws -> String {
        try answer(PQsendQuery(handle, sql)).tag
    }

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
        try run("SET LOCAL statement_timeout = 0")
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
        let bound = try BoundParameters(parameters)
        let name = prepares ? try prepare(sql, bound) : nil
        return try answer(
            bound.withPointers { types, values, lengths, formats in
                // The last argument asks for binary results.
                if let name {
                    PQsendQueryPrepared(handle, name, Int32(parameters.count), values, lengths, formats, 1)
                } else {
                    PQsendQueryParams(handle, sql, Int32(parameters.count), types, values, lengths, formats, 1)
                }
            })
    }

    /// Waits for what the server says to what was sent; of several answers the last.
    ///
    /// - Throws: ``PostgreSQLFailure``; where the server says nothing for too long, as where the connection is gone.
    private func answer(_ wasSent: Int32) throws -> PostgreSQLResult {
        guard wasSent == 1 else { throw failure(PostgreSQLResult(nil)) }
        let deadline = ContinuousClock.now + patience
        var last = PostgreSQLResult(nil)
        while true {
            while PQisBusy(handle) == 1 {
                var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
                poll(&descriptor, 1, 1000)
                guard PQconsumeInput(handle) == 1 else { throw failure(PostgreSQLResult(nil)) }
                if ContinuousClock.now >= deadline {
                    isGivenUp = true
                    throw PostgreSQLFailure(state: "", message: "the server doesn't answer")
                }
            }
            guard let next = PQgetResult(handle) else { break }
            // An error ends what was sent; what is left of it is read all the same.
            if last.isSuccess || last.isNone { last = PostgreSQLResult(next) } else { PQclear(next) }
        }
        guard last.isSuccess else { throw failure(last) }
        return last
    }

    /// The name of a prepared statement; `nil` where there are too many.
    ///
    /// It is made of the text and the types of the parameters: a pooler that mixes its clients' statements up then knows
    /// either this one by the name or none.
    private func prepare(_ sql: String, _ bound: BoundParameters) throws -> String? {
        let key = bound.signature + sql
        if let name = prepared[key] { return name }
        // Statements of many rows are seldom the same twice.
        guard prepared.count < Self.maximumPrepared, bound.count <= 64 else { return nil }
        let name = "s\(Self.hash(key, 0xCBF2_9CE4_8422_2325))\(Self.hash(key, 0x6C62_272E_07BB_0142))"
        _ = try answer(
            bound.withPointers { types, _, _, _ in PQsendPrepare(handle, name, sql, Int32(bound.count), types) })
        prepared[key] = name
        return name
    }

    /// FNV-1a, as good as it has to be for texts of our own.
    private static func hash(_ text: String, _ basis: UInt64) -> String {
        String(text.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, radix: 16)
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
