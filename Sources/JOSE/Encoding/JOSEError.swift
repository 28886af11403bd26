/// What went wrong with a key, a signature or a token.
///
/// Two errors are equal when their codes are. The reason is a sentence for a log; it never holds a key, a secret or a
/// token.
public struct JOSEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable name for a kind of error. The list can grow.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name, in lower case with underscores.
        public let description: String

        /// Bytes that are not what their format says.
        public static let malformed = Code(description: "malformed")
        /// An algorithm, key type or header parameter that isn't in the tables of this library.
        public static let unsupported = Code(description: "unsupported")
        /// A key that is weak, inconsistent or meant for something else.
        public static let keyRefused = Code(description: "key_refused")
        /// A passphrase that is missing or doesn't open the key.
        public static let wrongPassphrase = Code(description: "wrong_passphrase")
        /// No key has the token's `kid`.
        public static let unknownKey = Code(description: "unknown_key")
        /// A signature that doesn't belong to the content and the key.
        public static let signatureInvalid = Code(description: "signature_invalid")
        /// A claim that is missing or not accepted.
        public static let claimRefused = Code(description: "claim_refused")
        /// A token past its `exp`.
        public static let expired = Code(description: "expired")
        /// OpenSSL refused a call; the reason holds its error queue.
        public static let openSSL = Code(description: "openssl")
    }

    /// What kind of error it is: what a caller may branch on.
    public let code: Code
    /// A sentence for the log, without any key, secret or token.
    public let reason: String

    /// An error of a kind, with a reason that holds no secret.
    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { reason }

    public static func == (left: JOSEError, right: JOSEError) -> Bool { left.code == right.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
