/// Why the program stops: a line that says what to do, and the exit status that scripts read.
public struct ServiceError: Error, Sendable, CustomStringConvertible {
    /// The exit status of the program.
    public enum Status: Int32, Sendable {
        /// The operation failed.
        case failed = 1
        /// Wrong usage.
        case usage = 64
        /// A needed service can't be reached.
        case unavailable = 69
        /// Bad configuration.
        case configuration = 78
    }

    public let status: Status
    public let description: String

    public init(_ status: Status, _ description: String) {
        self.status = status
        self.description = description
    }
}
