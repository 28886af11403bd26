import JOSE

private let attack = AttackGroup("kid")

extension TokenAttack {
    /// `kid` leads to a key that the issuer never published.
    static let keyID = foreign + lookedUp + ofIssuer

    /// Signed by somebody else.
    private static let foreign: [TokenAttack] = [
        attack("kid-of-issuer-foreign-key", "It doesn't check the signature with the key that the kid names.") {
            try $0.foreignToken(header: $0.header())
        },
        attack("kid-of-issuer-foreign-key-type", "It doesn't check the signature where alg isn't the key's.") {
            try $0.token(header: $0.header(["alg": .string($0.stranger.algorithm.name)]), sign: $0.stranger.signature)
        },
        attack("kid-absent-foreign-key", "It doesn't check the signature where there is no kid.") {
            try $0.foreignToken(header: $0.header(["kid": nil]))
        },
        attack("kid-unknown-foreign-key", "It doesn't check the signature where it doesn't know the kid.") {
            try $0.foreignToken(header: $0.header(["kid": "unknown"]))
        },
        attack("kid-of-another-issuer", "It accepts a key of another issuer: the keys of several are in one bag.") {
            try $0.foreignToken(header: $0.header(["kid": .string($0.attacker.keyID.rawValue)]))
        },
        attack("kid-huge", "It lets a kid of any length through to its caches and logs, and doesn't check the key.") {
            try $0.foreignToken(header: $0.header(["kid": .string(String(repeating: "k", count: 4096))]))
        },
        attack("kid-url", "It fetches the key from the address that kid gives.") {
            try $0.foreignToken(header: $0.header(["kid": .string($0.attackerURL)]))
        },
    ]

    /// What a careless look-up finds is known to everybody.
    private static let lookedUp: [TokenAttack] = [
        attack("kid-path-dev-null", "It reads the key from the path in kid, and takes an empty file for a secret.") {
            // One zero is the same to HMAC as no key.
            try $0.token(secret: [0], kid: "../../../../../../../../dev/null")
        },
        attack("kid-path-known-file", "It reads the key from the path in kid, where a file of known content lies.") {
            try $0.token(secret: Array("2\n".utf8), kid: "/proc/sys/kernel/randomize_va_space")
        },
        attack("kid-path-environment", "It opens the path in kid, and takes what it can't read for no key to check.") {
            try $0.foreignToken(header: $0.header(["kid": "/proc/self/environ"]))
        },
        attack("kid-path-file-url", "It opens the file that kid gives as an address.") {
            try $0.token(secret: [0], kid: "file:///dev/null")
        },
        attack("kid-sql-secret", "It puts kid into SQL, which then answers the attacker's secret.") {
            try $0.token(secret: Array("attacker".utf8), kid: "x' UNION SELECT 'attacker' -- ")
        },
        attack("kid-sql-key", "It puts kid into SQL, which then answers the attacker's public key.") {
            let pem = try $0.attacker.key.publicKey.pem()
            return try $0.foreignToken(header: $0.header(["kid": .string("x' UNION SELECT '\(pem)' -- ")]))
        },
        attack("kid-sql-always-true", "It puts kid into SQL, and doesn't check with the key that comes back.") {
            try $0.foreignToken(header: $0.header(["kid": "x' OR '1'='1"]))
        },
    ]

    /// Signed by the issuer: `kid` is a hint (RFC 7515 section 4.1.4), so that nobody has to mind.
    private static let ofIssuer: [TokenAttack] = [
        attack.strict("kid-absent", "It tries its keys where there is no kid.") {
            try $0.token(header: $0.header(["kid": nil]))
        },
        attack.strict("kid-unknown", "It falls back to some key where it doesn't know the kid.") {
            try $0.token(header: $0.header(["kid": "unknown"]))
        },
        attack.strict("kid-empty", "It takes an empty kid for none.") { try $0.token(header: $0.header(["kid": ""])) },
        attack.strict("kid-null", "It takes a kid of null for none.") {
            try $0.token(header: $0.header(["kid": .null]))
        },
        attack.strict("kid-number", "It takes a kid that isn't text for none.") {
            try $0.token(header: $0.header(["kid": 1]))
        },
        attack.strict("kid-array", "It looks for its key in a list of several kids.") {
            try $0.token(header: $0.header(["kid": [.string($0.keyID.rawValue)]]))
        },
        attack.strict("kid-longer", "It compares the beginning of the kid only.") {
            try $0.token(header: $0.header(["kid": .string($0.keyID.rawValue + "\0.pem")]))
        },
        attack.strict("kid-huge-of-issuer", "It falls back to some key where the kid is too long to look up.") {
            try $0.token(header: $0.header(["kid": .string(String(repeating: "k", count: 4096))]))
        },
    ]
}
