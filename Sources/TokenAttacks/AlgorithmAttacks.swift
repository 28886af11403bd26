import JOSE

private let attack = AttackGroup("algorithm")

extension TokenAttack {
    /// `alg` says something else than the key (RFC 8725 sections 3.1 and 3.2).
    static let algorithm =
        unsigned("none", "alg-none") + unsigned("None", "alg-none-title-case")
        + unsigned("NONE", "alg-none-upper-case") + unsigned("nOnE", "alg-none-mixed-case") + disguised + misnamed

    private static func unsigned(_ spelling: String, _ name: String) -> [TokenAttack] {
        [
            attack(name, "It believes a token that says, as \(spelling), that nobody signed it.") {
                try $0.token(header: $0.header(["alg": .string(spelling)])) { _ in [] }
            },
            attack("\(name)-two-parts", "It believes an \(spelling) token that has no third part at all.") {
                try $0.token(header: $0.header(["alg": .string(spelling)])) { _ in [] }.dropLast()
            },
            attack("\(name)-with-signature", "It believes an \(spelling) token because some signature is there.") {
                material in
                // Somebody who wants to forge has a valid token, with a signature to spare.
                try material.token(header: material.header(["alg": .string(spelling)])) { _ in
                    try material.issuer.signature(of: Array("another token".utf8))
                }
            },
        ]
    }

    private static let disguised: [TokenAttack] = [
        attack("alg-none-escaped", "It reads \"n\\u006fne\" as none, after a filter that looks for the letters.") {
            let header = $0.header(["alg": nil]).prepending(member: #""alg":"n\u006fne""#)
            return try $0.token(header: header) { _ in [] }
        },
        attack("alg-none-padded", "It trims white space off alg and finds none.") {
            try $0.token(header: $0.header(["alg": " none "])) { _ in [] }
        },
    ]

    private static let misnamed: [TokenAttack] = [
        attack("alg-missing", "It guesses the algorithm where the header has no alg.") {
            try $0.token(header: $0.header(["alg": nil]))
        },
        attack("alg-empty", "It takes an empty alg for the key's.") {
            try $0.token(header: $0.header(["alg": ""]))
        },
        attack("alg-null", "It takes null for the key's algorithm.") {
            try $0.token(header: $0.header(["alg": .null]))
        },
        attack("alg-array", "It picks an algorithm out of a list, where alg has to be one name.") {
            try $0.token(header: $0.header(["alg": [.string($0.algorithm.name), "none"]]))
        },
        attack("alg-lower-case", "It compares alg without regard to letter case.") {
            try $0.token(header: $0.header(["alg": .string($0.algorithm.name.lowercased())]))
        },
        attack("alg-unknown", "It doesn't look at alg.") { try $0.token(header: $0.header(["alg": "XX256"])) },
        attack("alg-hs256", "It takes HS256 for the key's algorithm.") {
            try $0.token(header: $0.header(["alg": "HS256"]))
        },
        attack("alg-of-another-key-type", "It accepts the algorithm of another type of key.") {
            try $0.token(header: $0.header(["alg": .string($0.stranger.algorithm.name)]))
        },
        attack("alg-for-encryption", "It takes an algorithm that encrypts for one that signs.") {
            try $0.token(header: $0.header(["alg": "RSA-OAEP"]))
        },
        attack.strict(
            "alg-of-same-family", "It lets the token choose among the algorithms that fit the type of the key."
        ) {
            material in
            let others = Algorithm.table.filter { $0 != material.algorithm && $0.keyType == material.algorithm.keyType }
            // Only RSA keys serve several algorithms; a key of a curve can but claim to.
            let fitting = others.first { material.key.publicKey.parameters.algorithms.contains($0) }
            let name = (fitting ?? others.first)?.name ?? "Ed25519"
            return try material.token(header: material.header(["alg": .string(name)])) {
                try material.key.signature(of: $0, algorithm: fitting ?? material.algorithm)
            }
        },
    ]
}
