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
        PQconninfoFree(options)
        return true
    }

    /// Whether the server still answers, as far as is known.
    var isAlive: Bool { PQstatus(handle) == CONNECTION_OK }

    /// Whether a transaction is under way.
    var isInTransaction: Bool { PQtransactionStatus(handle) != PQTRANS_IDLE }

    /// Runs statements that have no parameters and no rows.
    ///
    /// - Returns: what the server says that it did: `COMMIT`.
    @discardableResult
    func run(_ sql: String) throws -> String {
        let result = Result(PQexec(handle, sql))
        guard result.isSuccess else { throw failure(result) }
        return result.tag
    }

    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [Row] { try execute(sql, parameters).rows }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
        let result: Result = try execute(sql, parameters)
        return result.changedCount
    }

    func hold(_ lock: TransactionLock) throws {
        // Large tables take their time, and so does who waits for them.
        if lock == .schema { try run("SET LOCAL statement_timeout = 0") }
        // The first number keeps other programs' locks apart.
        let _: Result = try execute(
            "SELECT pg_advisory_xact_lock(CAST($1 AS INT), CAST($2 AS INT))",
            [.integer(0x746F6B), .integer(lock.rawValue)])
    }

    func announceChange() throws {
        let _: Result = try execute("SELECT pg_notify($1, '')", [.text(PostgreSQLListener.channel)])
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

    private func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Result {
        let bound = try BoundParameters(parameters)
        let name = prepares ? try prepare(sql, bound) : nil
        let result = bound.withPointers { types, values, lengths, formats in
            // The last argument asks for binary results.
            if let name {
                PQexecPrepared(handle, name, Int32(parameters.count), values, lengths, formats, 1)
            } else {
                PQexecParams(handle, sql, Int32(parameters.count), types, values, lengths, formats, 1)
            }
        }
        let owned = Result(result)
        guard owned.isSuccess else { throw failure(owned) }
        return owned
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
        let result = bound.withPointers { types, _, _, _ in
            Result(PQprepare(handle, name, sql, Int32(bound.count), types))
        }
        guard result.isSuccess else { throw failure(result) }
        prepared[key] = name
        return name
    }

    /// FNV-1a, as good as it has to be for texts of our own.
    private static func hash(_ text: String, _ basis: UInt64) -> String {
        String(text.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, radix: 16)
    }

    private func failure(_ result: Result) -> PostgreSQLFailure {
        PostgreSQLFailure(state: result.sqlState, message: result.message ?? Self.line(PQerrorMessage(handle)))
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

/// An answer of the server.
private final class Result {
    private let handle: OpaquePointer?

    init(_ handle: OpaquePointer?) { self.handle = handle }

    deinit { PQclear(handle) }

    var isSuccess: Bool { [PGRES_COMMAND_OK, PGRES_TUPLES_OK].contains(PQresultStatus(handle)) }

    /// Five letters (appendix A of PostgreSQL's manual); empty where the server said nothing.
    var sqlState: String { field(CPostgreSQL_diagnostic_sqlstate()) ?? "" }
    var message: String? { field(CPostgreSQL_diagnostic_message()) }

    private func field(_ code: Int32) -> String? { PQresultErrorField(handle, code).map { String(cString: $0) } }

    var tag: String { String(cString: PQcmdStatus(handle)) }

    var changedCount: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

    var rows: [Row] {
        get throws {
            let columns = 0..<PQnfields(handle)
            let names = columns.map { String(cString: PQfname(handle, $0)) }
            let types = columns.map { PQftype(handle, $0) }
            return try (0..<PQntuples(handle)).map { row in
                Row(names: names, values: try columns.map { try value(row, $0, types[Int($0)]) })
            }
        }
    }

    private func value(_ row: Int32, _ column: Int32, _ type: Oid) throws -> SQLValue {
        if PQgetisnull(handle, row, column) == 1 { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
        switch PostgreSQLType(rawValue: type) {
        case .int2, .int4, .int8:
            let sign: UInt64 = bytes.first.map { $0 & 0x80 != 0 } ?? false ? .max : 0
            return .integer(Int64(bitPattern: bytes.reduce(sign) { $0 << 8 | UInt64($1) }))
        case .bool: return .integer(bytes.first == 0 ? 0 : 1)
        case .text, .varchar, .name: return .text(String(decoding: bytes, as: UTF8.self))
        case .bytea: return .bytes(Array(bytes))
        case nil:
            throw StorageError(.unexpected, "the database answered a column of a type that isn't known here: \(type)")
        }
    }
}

/// The types of columns and parameters (pg_type.dat).
private enum PostgreSQLType: Oid {
    case bool = 16
    case bytea = 17
    case name = 19
    case int8 = 20
    case int2 = 21
    case int4 = 23
    case text = 25
    case varchar = 1043
}

/// Parameters in binary form.
private struct BoundParameters {
    private var types: [Oid]
    /// All values behind one another, and where each lies; `nil` for null.
    private var storage: [UInt8] = []
    private var ranges: [Range<Int>?] = []

    init(_ parameters: [SQLValue]) throws {
        types = []
        for parameter in parameters {
            let start = storage.count
            switch parameter {
            case .null:
                // The statement says of which type it is.
                types.append(0)
                ranges.append(nil)
                continue
            case .integer(let number):
                types.append(PostgreSQLType.int8.rawValue)
                let bytes = UInt64(bitPattern: number)
                storage += (0..<8).reversed().map { UInt8(truncatingIfNeeded: bytes >> (8 * $0)) }
            case .text(let text):
                guard !text.utf8.contains(0) else {
                    throw StorageError(.unexpected, "a text with a NUL character can't be stored")
                }
                types.append(PostgreSQLType.text.rawValue)
                storage.append(contentsOf: text.utf8)
            case .bytes(let bytes):
                types.append(PostgreSQLType.bytea.rawValue)
                storage.append(contentsOf: bytes)
            }
            ranges.append(start..<storage.count)
        }
        // So that there is something to point at.
        storage.append(0)
    }

    var count: Int { types.count }

    /// Tells lists of other types apart.
    var signature: String { types.map { "\($0)," }.joined() }

    func withPointers<Value>(
        _ body: (
            UnsafePointer<Oid>, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>
        ) -> Value
    ) -> Value {
        storage.withUnsafeBytes { bytes in
            let start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
            // One more each: an empty array has no address.
            let values = ranges.map { range in range.map { start + $0.lowerBound } } + [nil]
            let lengths = ranges.map { Int32($0?.count ?? 0) } + [0]
            let formats = [Int32](repeating: 1, count: ranges.count + 1)
            return values.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        (types + [0]).withUnsafeBufferPointer { types in
                            body(types.baseAddress!, values.baseAddress!, lengths.baseAddress!, formats.baseAddress!)
                        }
                    }
                }
            }
        }
    }
}

/// What the server, or the way to it, said no with.
struct PostgreSQLFailure: Error {
    /// The SQLSTATE; empty where the connection is gone.
    let state: String
    let message: String

    /// Another try of the whole transaction may succeed: two were in each other's way.
    var isConflict: Bool { ["40001", "40P01"].contains(state) }

    /// A pooler handed the transaction to a server that doesn't know the statement, or knows the name for another one.
    var isForgottenStatement: Bool { ["26000", "42P05"].contains(state) }

    /// The connection is of no use any more: it is gone, or the server goes down.
    var isOfConnection: Bool { state.isEmpty || state.hasPrefix("08") || state.hasPrefix("57P") }

    /// A write in a transaction that reads, or at a server that has become a replica.
    var isReadOnly: Bool { state == "25006" }

    /// As callers see it, without values of the statement.
    var storageError: StorageError {
        if state == "23505" { return StorageError(.alreadyThere, "a row with the same key is there already") }
        if isOfConnection || isReadOnly || state.hasPrefix("53") || isConflict || ["57014", "55P03"].contains(state) {
            return StorageError(.unavailable, "the database can't be used: \(message)")
        }
        // What is wrong with data is told with the data.
        let reason = state.hasPrefix("22") ? "SQLSTATE \(state)" : message
        return StorageError(.unexpected, "the database refused a statement: \(reason)")
    }
}
