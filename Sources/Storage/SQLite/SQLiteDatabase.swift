internal import Foundation
internal import GRDB

/// The driver for SQLite: one file, many readers, one writer that commits in groups.
///
/// The file is in WAL mode with `synchronous=FULL`, so that a commit that was acknowledged survives a power cut. Writes
/// that arrive while a commit is on its way to the disk share the next one: each of several statements has a savepoint of
/// its own, and all are answered after the one commit.
public final class SQLiteDatabase: Database {
    private let pool: DatabasePool
    private let waiting = WaitingWrites()

    /// Opens the file at `path`.
    ///
    /// - Parameter creating: whether to make it where it isn't there yet, readable by its owner only.
    /// - Throws: ``StorageError`` `unavailable`.
    public init(path: String, creating: Bool = true) throws {
        guard creating || access(path, F_OK) == 0 else {
            throw StorageError(
                .unavailable, "there is no database file \(path): run this where the service runs, or name the file")
        }
        // SQLite gives its -wal and -shm files the mode of the main one. A file that is there is left alone: to close it
        // here would drop the locks that another connection of this process holds on it.
        let file = Foundation.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 || errno == EEXIST else {
            throw StorageError(
                .unavailable, "can't open the database file \(path): \(String(cString: strerror(errno)))")
        }
        if file >= 0 { Foundation.close(file) }
        var configuration = Configuration()
        configuration.busyMode = .timeout(Self.busyTimeout)
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // GRDB sets NORMAL under WAL, where a power cut may take back what was acknowledged.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        } catch {
            throw StorageError.from(error, path: path)
        }
    }

    /// How long another process may hold the write lock before a write fails, in seconds.
    private static let busyTimeout: TimeInterval = 5

    public func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result {
        do {
            return try await pool.read { try body(SQLiteConnection(database: $0)) }
        } catch {
            throw StorageError.from(error, path: pool.path)
        }
    }

    public func write<Result: Sendable>(
        _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result { try await write(isOneStatement: false, body) }

    public func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row] {
        try await write(isOneStatement: true) { try $0.query(sql, parameters) }
    }

    private func write<Result: Sendable>(
        isOneStatement: Bool, _ body: @escaping @Sendable (any Connection) throws -> Result
    ) async throws -> Result {
        let path = pool.path
        return try await withCheckedThrowingContinuation { continuation in
            waiting.append(
                WaitingWrite(
                    isOneStatement: isOneStatement,
                    run: { connection in
                        let result = try body(connection)
                        return { continuation.resume(returning: result) }
                    },
                    fail: { continuation.resume(throwing: StorageError.from($0, path: path)) }))
            pool.asyncWriteWithoutTransaction { [waiting] in waiting.commitGroup(in: $0) }
        }
    }

    public func changes(at url: String?) -> AsyncStream<Void> { AsyncStream { $0.finish() } }

    public func close() throws { try pool.close() }
}

/// A write that hasn't started yet: `run` does its statements and returns what to call after the commit.
private struct WaitingWrite: Sendable {
    let isOneStatement: Bool
    let run: @Sendable (any Connection) throws -> @Sendable () -> Void
    let fail: @Sendable (any Error) -> Void
}

/// The writes that wait for the writer. The first turn of the writer takes all of them, the turns of the others find
/// nothing left.
private final class WaitingWrites: @unchecked Sendable {
    private let lock = NSLock()
    private var writes: [WaitingWrite] = []

    /// The most writes that share a commit.
    private static let largestGroup = 256

    /// The most writes that wait: beyond, they would be done long after anybody waits for the answer.
    private static let maximumCount = 4096

    func append(_ write: WaitingWrite) {
        let hasRoom = lock.withLock {
            guard writes.count < Self.maximumCount else { return false }
            writes.append(write)
            return true
        }
        if !hasRoom { write.fail(StorageError(.unavailable, "too many writes wait for the database")) }
    }

    private func takeGroup() -> [WaitingWrite] {
        lock.withLock {
            let group = Array(writes.prefix(Self.largestGroup))
            writes.removeFirst(group.count)
            return group
        }
    }

    func commitGroup(in database: GRDB.Database) {
        let group = takeGroup()
        guard !group.isEmpty else { return }
        var succeeded: [(write: WaitingWrite, answer: @Sendable () -> Void)] = []
        var answered = 0
        do {
            try database.inTransaction(.immediate) {
                for write in group {
                    do {
                        succeeded.append((write, try run(write, in: database)))
                    } catch {
                        // A full disk and the like end the whole transaction, and with it the others' work.
                        guard database.isInsideTransaction else { throw error }
                        write.fail(error)
                    }
                    answered += 1
                }
                return .commit
            }
            for write in succeeded { write.answer() }
        } catch {
            for (write, _) in succeeded { write.fail(error) }
            for write in group[answered...] { write.fail(error) }
        }
    }

    private func run(_ write: WaitingWrite, in database: GRDB.Database) throws -> @Sendable () -> Void {
        let connection = SQLiteConnection(database: database)
        // A statement that fails leaves nothing of itself anyway.
        if write.isOneStatement { return try write.run(connection) }
        var answer: (@Sendable () -> Void)?
        try database.inSavepoint {
            answer = try write.run(connection)
            return .commit
        }
        return answer!
    }
}

/// Statements on a connection of GRDB's; parameters are bound by name, since SQLite numbers `$2, $1` by appearance.
private struct SQLiteConnection: Connection {
    let database: GRDB.Database

    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [Row] {
        let statement = try database.cachedStatement(sql: sql)
        let names = statement.columnNames
        return try GRDB.Row.fetchAll(statement, arguments: arguments(parameters)).map { row in
            Row(names: names, values: row.databaseValues.map(SQLValue.init))
        }
    }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
        try database.cachedStatement(sql: sql).execute(arguments: arguments(parameters))
        return database.changesCount
    }

    /// There is one writer.
    func hold(_ lock: TransactionLock) {}

    func takeTime() {}

    /// Who shares the file polls.
    func announceChange() {}

    var timeline: String? { nil }

    private func arguments(_ parameters: [SQLValue]) throws -> StatementArguments {
        // The driver would bind such a text up to there, and PostgreSQL has none.
        for case .text(let text) in parameters where text.utf8.contains(0) {
            throw StorageError(.unexpected, "a text with a NUL character can't be stored")
        }
        return StatementArguments(
            Dictionary(
                uniqueKeysWithValues: parameters.enumerated().map { index, value in
                    (String(index + 1), value.databaseValue as (any DatabaseValueConvertible)?)
                }))
    }
}

extension SQLValue {
    fileprivate init(_ value: DatabaseValue) {
        self =
            switch value.storage {
            case .null: .null
            case .int64(let number): .integer(number)
            case .double(let number): Int64(exactly: number.rounded()).map { .integer($0) } ?? .null
            case .string(let text): .text(text)
            case .blob(let data): .bytes(Array(data))
            }
    }

    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .text(let text): text.databaseValue
        case .bytes(let bytes): Data(bytes).databaseValue
        }
    }
}

extension StorageError {
    /// What SQLite says, without the statement's values; errors of the caller's own pass through.
    fileprivate static func from(_ error: any Error, path: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let message = error.message ?? "error \(error.resultCode.rawValue)"
        switch error.extendedResultCode {
        case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
            return StorageError(.alreadyThere, "a row with the same key is there already")
        default: break
        }
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StorageError(.unavailable, "the database \(path) is locked by another process: \(message)")
        case .SQLITE_FULL:
            return StorageError(.unavailable, "no space is left for the database \(path): \(message)")
        case .SQLITE_IOERR:
            return StorageError(
                .unavailable, "the database \(path) can't be used: \(message); is its disk full, or broken?")
        case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_NOTADB, .SQLITE_CORRUPT, .SQLITE_MISUSE:
            return StorageError(.unavailable, "the database \(path) can't be used: \(message)")
        default:
            return StorageError(.unexpected, "the database \(path) refused a statement: \(message)")
        }
    }
}
