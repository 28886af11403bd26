internal import JOSE

/// What a password hash costs.
public struct PasswordCost: Sendable, Hashable {
    /// In KiB.
    public var memory: Int
    public var iterations: Int

    public init(memory: Int, iterations: Int) {
        self.memory = memory
        self.iterations = iterations
    }
}

/// The hash of a password: Argon2id as the service makes it, or what another system has left behind. Its cost is bounded: a
/// hash that somebody imports must not stop the service.
struct PasswordHash: Sendable {
    let text: String
    private let kind: Kind

    private enum Kind {
        case argon2id(Argon2idHash)
        case scrypt(ScryptHash)
        case crypt(CryptHash)
    }

    /// The longest text, in bytes.
    static let maximumLength = 512
    /// The most memory of a hash, in bytes.
    static let maximumMemory = 1 << 30
    /// The most rounds of a hash that counts them.
    static let maximumRounds = 1_000_000

    /// Why a text isn't taken.
    enum Refusal: Error {
        case unknownForm, tooCostly

        /// What is wrong, and what to do about it.
        var advice: String {
            switch self {
            case .unknownForm:
                "not a hash that is taken: Argon2id or scrypt in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash, "
                    + "$scrypt$ln=…,r=…,p=…$salt$hash), bcrypt ($2b$…) or another of crypt(3)'s"
            case .tooCostly:
                "a hash that costs too much to check: Argon2id, scrypt and yescrypt may take 1 GiB, bcrypt may have cost "
                    + "\(CryptScheme.bcryptCosts.upperBound), others \(PasswordHash.maximumRounds) rounds; set a password "
                    + "instead"
            }
        }
    }

    /// Reads a hash, and computes none.
    init(_ text: String) throws(Refusal) {
        let bytes = text.utf8
        guard bytes.count <= Self.maximumLength, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .unknownForm
        }
        self.text = text
        let fields = HashField.fields(of: bytes)
        if fields.count > 1, fields[1].isSpelt("argon2id") {
            kind = .argon2id(try Argon2idHash(fields))
        } else if fields.count > 1, fields[1].isSpelt("scrypt") {
            kind = .scrypt(try ScryptHash(fields))
        } else {
            kind = .crypt(try CryptHash(text))
        }
    }

    /// Hashes a password with a new salt. Takes tens of milliseconds.
    static func make(_ password: String, cost: PasswordCost) throws -> PasswordHash {
        try PasswordHash(Argon2idHash.make(password, cost: cost))
    }

    /// Whether this is the password's hash. Takes as long as the cost says.
    func matches(_ password: String) throws -> Bool {
        switch kind {
        case .argon2id: try Argon2idHash.verify(password, text)
        case .scrypt(let hash): try hash.matches(password)
        case .crypt(let hash): try hash.matches(password)
        }
    }

    /// Whether a hash made today would be of the same kind and cost.
    func isMade(at cost: PasswordCost) -> Bool {
        if case .argon2id(let hash) = kind { hash.cost == cost && hash.lanes == 1 } else { false }
    }

    /// Whether it is the hash of the whole password: else another one may have it, too.
    func sees(all password: String) -> Bool {
        if case .crypt = kind { CryptScheme.sees(all: password, by: text) } else { true }
    }

    /// A hash of this cost that no password has.
    static func decoy(cost: PasswordCost) -> PasswordHash {
        let zeros = String(repeating: "A", count: 43)
        let text = "$argon2id$v=19$m=\(cost.memory),t=\(cost.iterations),p=1$\(zeros.prefix(22))$\(zeros)"
        guard let hash = try? PasswordHash(text) else {
            preconditionFailure("a password cost that settings don't allow")
        }
        return hash
    }
}
