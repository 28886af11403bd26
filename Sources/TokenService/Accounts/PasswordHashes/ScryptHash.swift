internal import JOSE

/// An scrypt hash (RFC 7914) in PHC form, `$scrypt$ln=…,r=…,p=…$salt$hash`, as passlib writes it.
struct ScryptHash: Sendable {
    private let logN: Int
    private let r: Int
    private let p: Int
    private let salt: [UInt8]
    private let hash: [UInt8]

    init(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 5, fields[0].count == 0, fields[1].isSpelt("scrypt") else { throw .unknownForm }
        let parameters = HashField.fields(of: fields[2].bytes, separatedBy: ",")
        guard parameters.count == 3, let logN = parameters[0].number(behind: "ln="),
            let r = parameters[1].number(behind: "r="), let p = parameters[2].number(behind: "p="), logN >= 1, r >= 1,
            // RFC 7914 section 6: N is less than 2^(128 * r / 8).
            p >= 1, logN < 16 * r, let salt = fields[3].base64, !salt.isEmpty, let hash = fields[4].base64,
            (16...64).contains(hash.count)
        else { throw .unknownForm }
        guard Self.isBounded(logN: logN, r: r, p: p) else { throw .tooCostly }
        (self.logN, self.r, self.p, self.salt, self.hash) = (logN, r, p, salt, hash)
    }

    /// Whether scrypt, or what was made of it, takes no more than the memory there may be, all p of its runs counted: they
    /// are its work, too.
    static func isBounded(logN: Int, r: Int, p: Int) -> Bool {
        let limit = PasswordHash.maximumMemory / 128
        return logN <= 23 && r <= limit >> logN && p <= (limit >> logN) / r
    }

    func matches(_ password: String) throws -> Bool {
        constantTimeEquals(
            try Scrypt.hash(Array(password.utf8), salt: salt, logN: logN, r: r, p: p, count: hash.count), hash)
    }
}
