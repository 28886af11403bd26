/// A database that every store of this package works over.
///
/// Statements are written once, in the dialect that SQLite and PostgreSQL share: parameters are `$1`, `$2`, …, each
/// used as often as needed; `RETURNING` and `ON CONFLICT` are there; ids are made by the caller, instants are BIGINT
/// microseconds since 1970, structured values JSON text, only keys and hashes BYTEA.
public protocol Database: Sendable {
    /// Runs queries that see one state of the database.
    ///
    /// - Throws: ``StorageError``, or what `body` throws.
    func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result

    /// Runs statements as one transaction that has the right to write from its start. It returns after the commit is
    /// durable: what was done stays done, by kill -9 or by power.
    ///
    /// Where `body` throws, nothing of it stays; it must not go on after a statement that failed. It decides inside its statements (`UPDATE … WHERE … RETURNING`) rather
    /// than by reading first, and may run more than once.
    ///
    /// - Throws: ``StorageError``, or what `body` throws.
    func write<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result

    /// Runs one statement as a transaction of its own, in as little time as it can be done; durable as any other.
    ///
    /// It may run again although it was done, where a connection broke before anybody knew: it has to be one that does no
    /// harm then, such as an `UPDATE` of what it finds unchanged only.
    ///
    /// - Throws: ``StorageError``.
    func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row]

    /// Yields when another node may have announced a change; such news can be lost, so that one has to look now and then.
    ///
    /// - Parameter url: of the server itself, where the database is reached through a pooler.
    func changes(at url: String?) -> AsyncStream<Void>

    /// Closes every connection; later calls throw.
    func close() throws
}

/// A connection inside a transaction; it must not be kept.
public protocol Connection {
    /// The rows that a statement answers.
    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [Row]

    /// Runs a statement and answers how many rows it changed.
    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int

    /// Waits until no other transaction holds a lock, and holds it to the end of this one, which has the right to write.
    func hold(_ lock: TransactionLock) throws

    /// Lets the statements of this transaction take as long as they need: those of operators over all rows.
    func takeTime() throws

    /// Tells every node, once this transaction is committed, that something changed.
    func announceChange() throws

    /// The history of the database's that this is: another one after a fail-over to a replica or a restore to a point in
    /// time; `nil` where it doesn't tell.
    var timeline: String? { get throws }
}

/// What only one transaction does at a time, whichever node it is of.
public enum TransactionLock: Int64, Sendable {
    /// Bringing the tables up to date.
    case schema = 1
    /// Changing the keys.
    case keys = 2
    /// Leasing places of a status list.
    case statusLists = 3
}

extension Connection {
    public func query(_ sql: String) throws -> [Row] { try query(sql, []) }

    @discardableResult
    public func execute(_ sql: String) throws -> Int { try execute(sql, []) }
}

/// A value in the database.
public enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])

    /// A text, or null for `nil`.
    public static func text(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }

    /// A number, or null for `nil`.
    public static func integer(_ number: Int64?) -> SQLValue { number.map { .integer($0) } ?? .null }
}

/// One row of an answer.
public struct Row: Sendable {
    private let names: [String]
    /// In the order of the columns.
    public let values: [SQLValue]

    init(names: [String], values: [SQLValue]) {
        self.names = names
        self.values = values
    }

    private func value(_ name: String) throws -> SQLValue {
        guard let index = names.firstIndex(of: name) else {
            throw StorageError(.unexpected, "the database answered no column \(name)")
        }
        return values[index]
    }

    /// - Throws: ``StorageError`` `unexpected` where the column isn't there, is null or of another type.
    public func text(_ name: String) throws -> String {
        guard case .text(let text) = try value(name) else { throw wrongType(name) }
        return text
    }

    public func integer(_ name: String) throws -> Int64 {
        guard case .integer(let number) = try value(name) else { throw wrongType(name) }
        return number
    }

    public func bytes(_ name: String) throws -> [UInt8] {
        guard case .bytes(let bytes) = try value(name) else { throw wrongType(name) }
        return bytes
    }

    public func optionalText(_ name: String) throws -> String? {
        try value(name) == .null ? nil : text(name)
    }

    public func optionalInteger(_ name: String) throws -> Int64? {
        try value(name) == .null ? nil : integer(name)
    }

    public func optionalBytes(_ name: String) throws -> [UInt8]? {
        try value(name) == .null ? nil : bytes(name)
    }

    private func wrongType(_ name: String) -> StorageError {
        StorageError(.unexpected, "the database answered another type in column \(name)")
    }
}
