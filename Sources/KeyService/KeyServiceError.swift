/// Why a step with keys was refused or failed. The reason says what to do; it never holds a key or a secret.
public struct KeyServiceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable name for a kind of error. The list can grow.
    public struct Code: Hashable, Sendable {
        let name: String

        /// A step that would break a promise to verifiers, or names a key that isn't there.
        public static let refused = Code(name: "refused")
        /// Settings that break a rule together, or name what isn't there.
        public static let badSettings = Code(name: "bad_settings")
        /// A master secret that is missing, ill-formed or doesn't open what is stored.
        public static let masterSecret = Code(name: "master_secret")
        /// Keys that were there before are not where they ought to be.
        public static let keysMissing = Code(name: "keys_missing")
        /// The store can't be read or written.
        public static let storage = Code(name: "storage")
    }

    /// What kind of error it is: what a caller may branch on.
    public let code: Code
    /// What is wrong and how to mend it, in a sentence.
    public let reason: String

    /// An error of a kind, with a reason that holds no secret.
    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// Some keys were encrypted anew, and some couldn't be.
    init(reencrypted count: Int, damaged: [DamagedKey]) {
        self.init(
            .storage,
            "encrypted \(count) private keys anew, but not all, so keep every line of the master secret: "
                + damaged.map(\.description).joined(separator: "; "))
    }

    public var description: String { reason }
}
