/// What went wrong with the database. The reason never holds a value of a statement.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable name for a kind of error. The list can grow.
    public struct Code: Hashable, Sendable {
        public let name: String

        /// The database can't be reached, opened or written now.
        public static let unavailable = Code(name: "unavailable")
        /// The setting isn't one that names a database.
        public static let badAddress = Code(name: "bad_address")
        /// The database was written by a newer version of this program.
        public static let newerVersion = Code(name: "newer_version")
        /// A row with this key is there already.
        public static let alreadyThere = Code(name: "already_there")
        /// Anything that shouldn't be.
        public static let unexpected = Code(name: "unexpected")
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { reason }
}
