internal import JOSE

/// A kind of hash that crypt(3) knows.
struct CryptScheme: Sendable {
    let prefix: String
    /// Throws unless the fields behind the prefix are those of a hash whose cost is within the bounds.
    private let check: @Sendable ([HashField]) throws(PasswordHash.Refusal) -> Void

    static let bcryptCosts = 4...16

    /// Every kind that is taken. bigcrypt isn't, since nothing tells it from a long password that isn't hashed.
    static let table = [
        CryptScheme(prefix: "$y$", check: yescrypt),
        CryptScheme(prefix: "$gy$", check: yescrypt),
        CryptScheme(prefix: "$7$", check: scrypt),
        CryptScheme(prefix: "$2a$", check: bcrypt),
        CryptScheme(prefix: "$2b$", check: bcrypt),
        CryptScheme(prefix: "$2x$", check: bcrypt),
        CryptScheme(prefix: "$2y$", check: bcrypt),
        CryptScheme(prefix: "$6$") { fields throws(PasswordHash.Refusal) in try shaCrypt(fields, letters: 86) },
        CryptScheme(prefix: "$5$") { fields throws(PasswordHash.Refusal) in try shaCrypt(fields, letters: 43) },
        CryptScheme(prefix: "$sha1$", check: sha1Crypt),
        CryptScheme(prefix: "$md5", check: sunMD5),
        CryptScheme(prefix: "$1$") { fields throws(PasswordHash.Refusal) in
            try require(fields.count == 2 && isSalt(fields[0], upTo: 8) && fields[1].isCryptText(of: 22))
        },
        CryptScheme(prefix: "$3$") { fields throws(PasswordHash.Refusal) in
            try require(fields.count == 2 && fields[0].count == 0 && isNTHash(fields[1]))
        },
        CryptScheme(prefix: "_", check: bsdiCrypt),
        CryptScheme(prefix: "") { fields throws(PasswordHash.Refusal) in
            try require(fields.count == 1 && fields[0].isCryptText(of: 13) && endsAsDES(fields[0]))
        },
    ]

    static func check(_ text: String) throws(PasswordHash.Refusal) {
        guard let scheme = table.first(where: { text.utf8.starts(with: $0.prefix.utf8) }) else { throw .unknownForm }
        try scheme.check(HashField.fields(of: text.utf8.dropFirst(scheme.prefix.utf8.count)))
    }

    /// Whether the hash is of all that a password has: of a longer one DES sees eight letters of seven bits, and bcrypt 72
    /// bytes.
    static func sees(all password: String, by text: String) -> Bool {
        let bytes = password.utf8
        if text.utf8.starts(with: "$2x$".utf8) { return bytes.count <= 72 && password.isASCII }
        if text.utf8.starts(with: "$2".utf8) { return bytes.count <= 72 }
        if text.utf8.first == UInt8(ascii: "$") || text.utf8.first == UInt8(ascii: "_") { return true }
        return bytes.count <= 8 && password.isASCII
    }

    private static func require(
        _ condition: Bool, or refusal: PasswordHash.Refusal = .unknownForm
    ) throws(PasswordHash.Refusal) {
        guard condition else { throw refusal }
    }

    /// `j9T$salt$hash`: what crypt_gensalt makes. Of yescrypt's many more parameters nobody uses any.
    private static func yescrypt(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 3, fields[0].count == 3, fields[0].isCryptText(of: 3),
            let flavor = fields[0].cryptValue(at: 0), let n = fields[0].cryptValue(at: 1),
            let r = fields[0].cryptValue(at: 2), flavor == 47, n >= 1,
            // A greater value would go on in the next letter.
            n <= 47, r <= 47, isYescryptSalt(fields[1]), fields[2].isCryptText(of: 43)
        else { throw .unknownForm }
        try require(ScryptHash.isBounded(logN: n + 1, r: r + 1, p: 1), or: .tooCostly)
    }

    /// Whole bytes, and no stray bits in the last letter.
    private static func isYescryptSalt(_ field: HashField) -> Bool {
        guard field.isCryptText(of: 0...86) else { return false }
        switch field.count % 4 {
        case 0: return true
        case 2: return field.cryptValue(at: field.count - 1)! < 4
        case 3: return field.cryptValue(at: field.count - 1)! < 16
        default: return false
        }
    }

    /// `CU..../....salt$hash`: one letter of log N, five of r, five of p.
    private static func scrypt(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 2, fields[0].isCryptText(of: 11...97), let logN = fields[0].cryptValue(at: 0),
            let r = fields[0].cryptNumber(at: 1, letters: 5), let p = fields[0].cryptNumber(at: 6, letters: 5),
            // libxcrypt takes no N of 2.
            logN >= 2, r >= 1, p >= 1, fields[1].isCryptText(of: 43)
        else { throw .unknownForm }
        try require(ScryptHash.isBounded(logN: logN, r: r, p: p), or: .tooCostly)
    }

    /// `12$`, 22 letters of salt and 31 of hash. Stray bits in the last of either never come back from crypt.
    private static func bcrypt(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 2, fields[0].count == 2, fields[1].isCryptText(of: 53),
            fields[1].bcryptValue(at: 21)! % 16 == 0, fields[1].bcryptValue(at: 52)! % 4 == 0,
            let cost = HashField(bytes: fields[0].bytes.drop { $0 == UInt8(ascii: "0") }).number,
            cost >= bcryptCosts.lowerBound, cost <= 31
        else { throw .unknownForm }
        try require(cost <= bcryptCosts.upperBound, or: .tooCostly)
    }

    /// `rounds=5000$`, which may be missing, and `salt$hash`.
    private static func shaCrypt(_ fields: [HashField], letters: Int) throws(PasswordHash.Refusal) {
        guard (2...3).contains(fields.count), isSalt(fields[fields.count - 2], upTo: 16),
            fields[fields.count - 1].isCryptText(of: letters)
        else { throw .unknownForm }
        guard fields.count == 3 else { return }
        try checkRounds(fields[0].number(behind: "rounds="), from: 1000)
    }

    /// `rounds$salt$hash`.
    private static func sha1Crypt(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 3, fields[1].isCryptText(of: 1...64), fields[2].isCryptText(of: 28) else {
            throw .unknownForm
        }
        try checkRounds(fields[0].number, from: 4)
    }

    /// `,rounds=5000`, which may be missing, `$salt`, and one or two dollars before the hash.
    private static func sunMD5(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard (3...4).contains(fields.count), fields.count == 3 || fields[2].count == 0,
            fields[1].isCryptText(of: 8), fields[fields.count - 1].isCryptText(of: 22)
        else { throw .unknownForm }
        guard fields[0].count > 0 else { return }
        try checkRounds(fields[0].number(behind: ",rounds="), from: 1)
    }

    /// Four letters of rounds, four of salt, eleven of hash.
    private static func bsdiCrypt(_ fields: [HashField]) throws(PasswordHash.Refusal) {
        guard fields.count == 1, fields[0].isCryptText(of: 19), endsAsDES(fields[0]) else { throw .unknownForm }
        try checkRounds(fields[0].cryptNumber(at: 0, letters: 4), from: 1)
    }

    private static func checkRounds(_ rounds: Int?, from minimum: Int) throws(PasswordHash.Refusal) {
        guard let rounds, rounds >= minimum else { throw .unknownForm }
        try require(rounds <= PasswordHash.maximumRounds, or: .tooCostly)
    }

    /// crypt takes no salt with what passwd(5) uses between its fields.
    private static func isSalt(_ field: HashField, upTo count: Int) -> Bool {
        (1...count).contains(field.count) && field.bytes.allSatisfy { !":;*!\\".utf8.contains($0) }
            // crypt would take that for the rounds, and the hash for the salt.
            && !field.bytes.starts(with: "rounds=".utf8)
    }

    private static func isNTHash(_ field: HashField) -> Bool {
        field.count == 32 && field.bytes.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }

    /// DES makes 64 bits, so that the last letter holds four.
    private static func endsAsDES(_ field: HashField) -> Bool { field.cryptValue(at: field.count - 1)! % 4 == 0 }
}
