internal import CArgon2
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

/// An Argon2id hash (RFC 9106) in PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, with parameters that are bounded: a
/// hash that somebody imports must not stop the service.
struct PasswordHash: Sendable {
    let text: String
    let cost: PasswordCost
    private let lanes: Int

    /// The most memory of a hash, in KiB; also the most of memory times iterations that is worth waiting for.
    static let maximumMemory = 1024 * 1024
    static let maximumWork = 4 * maximumMemory

    /// - Returns: `nil` for anything but an Argon2id hash of version 19 within the bounds.
    init?(phc text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard text.utf8.count <= 512, parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id", parts[2] == "v=19"
        else {
            return nil
        }
        let parameters = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard parameters.count == 3, let memory = Self.parameter("m", parameters[0]),
            let iterations = Self.parameter("t", parameters[1]), let lanes = Self.parameter("p", parameters[2]),
            (1...16).contains(lanes), (8 * lanes...Self.maximumMemory).contains(memory), iterations >= 1,
            iterations <= Self.maximumWork / memory, parts[4].count >= 11, parts[5].count >= 22
        else { return nil }
        self.text = text
        self.lanes = lanes
        cost = PasswordCost(memory: memory, iterations: iterations)
    }

    private static func parameter(_ name: String, _ text: Substring) -> Int? {
        guard text.hasPrefix(name + "="), text.utf8.count <= 12 else { return nil }
        return SettingText.digits(text.dropFirst(2)).map { Int($0) }
    }

    /// Hashes a password with a new salt. Takes tens of milliseconds.
    static func make(_ password: String, cost: PasswordCost) throws -> PasswordHash {
        let salt = try randomBytes(16)
        var encoded = [CChar](repeating: 0, count: 256)
        let bytes = Array(password.utf8)
        let result = argon2id_hash_encoded(
            UInt32(cost.iterations), UInt32(cost.memory), 1, bytes, bytes.count, salt, salt.count, 32, &encoded,
            encoded.count)
        guard result == ARGON2_OK.rawValue else {
            throw ServiceError(.failed, "Argon2id failed: \(String(cString: argon2_error_message(result)))")
        }
        let text = String(decoding: encoded.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let hash = PasswordHash(phc: text) else { throw ServiceError(.failed, "Argon2id made an unknown hash") }
        return hash
    }

    /// Whether this is the password's hash. Takes as long as the cost says.
    func matches(_ password: String) throws -> Bool {
        let bytes = Array(password.utf8)
        let result = argon2id_verify(text, bytes, bytes.count)
        guard result == ARGON2_OK.rawValue || result == ARGON2_VERIFY_MISMATCH.rawValue else {
            throw ServiceError(.failed, "Argon2id failed: \(String(cString: argon2_error_message(result)))")
        }
        return result == ARGON2_OK.rawValue
    }

    /// Whether a hash made today would be of the same cost.
    func isMade(at cost: PasswordCost) -> Bool { self.cost == cost && lanes == 1 }

    /// A hash of this cost that no password has.
    static func decoy(cost: PasswordCost) -> PasswordHash {
        let zeros = String(repeating: "A", count: 43)
        let text = "$argon2id$v=19$m=\(cost.memory),t=\(cost.iterations),p=1$\(zeros.prefix(22))$\(zeros)"
        guard let hash = PasswordHash(phc: text) else {
            preconditionFailure("a password cost that settings don't allow")
        }
        return hash
    }
}
