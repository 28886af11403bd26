internal import CArgon2
internal import JOSE

/// An Argon2id hash (RFC 9106) in PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
struct Argon2idHash: Sendable {
    let cost: PasswordCost
    let lanes: Int

    /// The most memory, in KiB; also the most of memory times iterations that is worth waiting for.
    static let maximumMemory = PasswordHash.maximumMemory / 1024
    static let maximumWork = 4 * maximumMemory

    /// Reads as strictly as libargon2, so that what is stored can be checked: numbers without leading zeros, base64 with no
    /// stray bits, a salt of 8 bytes. (A hash of less than 16 bytes, which libargon2 would take, is too easily met by chance.)
    init(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 6, fields[0].count == 0, fields[1].isSpelt("argon2id"), fields[2].isSpelt("v=19") else {
            throw .unknownForm
        }
        let parameters = HashField.fields(of: fields[3].bytes, separatedBy: ",")
        guard parameters.count == 3, let memory = parameters[0].number(behind: "m="),
            let iterations = parameters[1].number(behind: "t="), let lanes = parameters[2].number(behind: "p="),
            lanes >= 1, memory >= 8 * lanes, iterations >= 1, let salt = fields[4].base64, salt.count >= 8,
            let hash = fields[5].base64, hash.count >= 16
        else { throw .unknownForm }
        guard lanes <= 16, memory <= Self.maximumMemory, iterations <= Self.maximumWork / memory else {
            throw .tooCostly
        }
        cost = PasswordCost(memory: memory, iterations: iterations)
        self.lanes = lanes
    }

    /// The text of a new hash.
    static func make(_ password: String, cost: PasswordCost) throws -> String {
        let salt = try randomBytes(16)
        var encoded = [CChar](repeating: 0, count: 256)
        let bytes = Array(password.utf8)
        let result = argon2id_hash_encoded(
            UInt32(cost.iterations), UInt32(cost.memory), 1, bytes, bytes.count, salt, salt.count, 32, &encoded,
            encoded.count)
        guard result == ARGON2_OK.rawValue else { throw failure(result) }
        return String(decoding: encoded.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func verify(_ password: String, _ text: String) throws -> Bool {
        let bytes = Array(password.utf8)
        let result = argon2id_verify(text, bytes, bytes.count)
        guard result == ARGON2_OK.rawValue || result == ARGON2_VERIFY_MISMATCH.rawValue else { throw failure(result) }
        return result == ARGON2_OK.rawValue
    }

    private static func failure(_ result: Int32) -> ServiceError {
        ServiceError(.failed, "Argon2id failed: \(String(cString: argon2_error_message(result)))")
    }
}
