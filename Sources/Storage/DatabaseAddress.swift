/// Where a database is: the value of the setting `database`.
public enum DatabaseAddress: Hashable, Sendable, CustomStringConvertible {
    /// `sqlite:PATH`.
    case sqlite(path: String)
    /// `postgres://…`, as libpq takes it, several hosts included.
    case postgreSQL(url: String)

    /// Without passwords.
    public var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path)"
        case .postgreSQL(let url): Self.masked(url)
        }
    }

    /// A URL without its passwords.
    public static func masked(_ url: String) -> String {
        // Up to the last @, and names that are encoded, too: a password that ought to be encoded isn't shown either.
        url.replacing(/(:\/\/[^:@\/?]*):.*@/) { "\($0.1):***@" }
            .replacing(/([?&][^=&]*(?:password|%)[^=&]*=)[^&]*/) { "\($0.1)***" }
    }

    /// - Throws: ``StorageError`` `badAddress`.
    public init(_ text: String) throws {
        if text.hasPrefix("sqlite:"), text.count > "sqlite:".count {
            self = .sqlite(path: String(text.dropFirst("sqlite:".count)))
        } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            guard PostgreSQLConnection.takes(url: text) else {
                throw StorageError(
                    .badAddress,
                    "not a URL that libpq takes; write it as postgres://USER@HOST:PORT/NAME?sslmode=verify-full, with / as "
                        + "%2F and @ as %40 in a password")
            }
            self = .postgreSQL(url: text)
        } else {
            throw StorageError(
                .badAddress, "not an address of a database; use sqlite:PATH or postgres://USER@HOST/NAME")
        }
    }

    /// Opens the database.
    ///
    /// - Parameters:
    ///   - creating: whether to make a file where it isn't there yet; a server's database has to be there.
    ///   - options: of a server.
    /// - Throws: ``StorageError`` `unavailable`.
    public func open(creating: Bool = true, options: PostgreSQLDatabase.Options = .init()) throws -> any Database {
        switch self {
        case .sqlite(let path): try SQLiteDatabase(path: path, creating: creating)
        case .postgreSQL(let url): PostgreSQLDatabase(url: url, options: options)
        }
    }
}
