/// Where a database is: the value of the setting `database`.
public enum DatabaseAddress: Hashable, Sendable, CustomStringConvertible {
    /// `sqlite:PATH`.
    case sqlite(path: String)

    public var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path)"
        }
    }

    /// - Throws: ``StorageError`` `badAddress`.
    public init(_ text: String) throws {
        if text.hasPrefix("sqlite:"), text.count > "sqlite:".count {
            self = .sqlite(path: String(text.dropFirst("sqlite:".count)))
        } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            throw StorageError(.badAddress, "this version has no PostgreSQL driver yet; use sqlite:PATH")
        } else {
            throw StorageError(.badAddress, "not an address of a database; use sqlite:PATH")
        }
    }

    /// Opens the database.
    ///
    /// - Parameter creating: whether to make it where it isn't there yet.
    /// - Throws: ``StorageError`` `unavailable`.
    public func open(creating: Bool = true) throws -> any Database {
        switch self {
        case .sqlite(let path): try SQLiteDatabase(path: path, creating: creating)
        }
    }
}
