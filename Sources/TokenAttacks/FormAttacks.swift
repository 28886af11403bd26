import JOSE

private let attack = AttackGroup("form")

extension TokenAttack {
    /// Not three parts with dots between them (RFC 7515 section 7.1), or far too much of them.
    static let form = parts + other + large

    private static let parts: [TokenAttack] = [
        attack("one-part", "It accepts a header alone.") { Array(try $0.token().prefix { $0 != dot }) },
        attack("two-parts", "It accepts a token that has no signature.") {
            let token = try $0.token()
            return Array(token[..<(token.lastIndex(of: dot) ?? token.endIndex)])
        },
        attack("dot-behind", "It passes over an empty part behind the signature.") { try $0.token() + [dot] },
        attack("dot-ahead", "It passes over an empty part before the header.") { try [dot] + $0.token() },
        attack("four-parts", "It passes over a fourth part.") { try $0.token() + Array(".AAAA".utf8) },
        attack("five-parts", "It takes the first three of five parts.") { try $0.token() + Array(".AAAA.AAAA".utf8) },
        attack("six-parts", "It takes the first three of six parts.") {
            let token = try $0.token()
            return token + [dot] + token
        },
        attack("empty-header", "It accepts a token without a header.") { try $0.token(header: []) },
        attack("empty-payload", "It accepts a token without claims.") { try $0.token(payload: []) },
    ]

    private static let other: [TokenAttack] = [
        attack("jwe-direct", "It takes an encrypted token for a signed one.") {
            try encrypted($0, header: ["alg": "dir", "enc": "A256GCM"], key: [])
        },
        attack("jwe-for-public-key", "It takes a token that is encrypted for it for one that is signed.") {
            let alg: JSONValue = $0.algorithm.keyType == .rsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW"
            return try encrypted(
                $0, header: ["alg": alg, "enc": "A256GCM", "cty": "JWT"], key: Array(repeating: 1, count: 256))
        },
        attack("json-flattened", "It reads the flattened JSON serialisation, which JWTs don't have.") {
            let parts = try parts(of: $0)
            let object: JSONObject = ["payload": parts[1], "protected": parts[0], "signature": parts[2]]
            return object.json
        },
        attack("json-general", "It reads the general JSON serialisation, which JWTs don't have.") {
            let parts = try parts(of: $0)
            let object: JSONObject = [
                "payload": parts[1], "signatures": [["protected": parts[0], "signature": parts[2]]],
            ]
            return object.json
        },
    ]

    private static let large: [TokenAttack] = [
        attack("large-foreign-key", "It accepts a token of 1 MiB, and doesn't check who signed it.", fitsHTTP: false) {
            try $0.token(spelt: [spelt($0.header()), large($0.payload())], sign: $0.attacker.signature)
        },
        attack("large-signature", "It accepts a signature of 1 MiB.", fitsHTTP: false) {
            try $0.token() + Array(repeating: UInt8(ascii: "A"), count: mebibyte)
        },
        attack("large-of-dots", "It makes a part of each of a million dots.", fitsHTTP: false) {
            try $0.token() + Array(repeating: dot, count: mebibyte)
        },
        attack.strict("large", "It reads a token of 1 MiB.", fitsHTTP: false) {
            try $0.token(spelt: [spelt($0.header()), large($0.payload())])
        },
        attack.strict("large-header", "It reads a header of 1 MiB.", fitsHTTP: false) {
            try $0.token(spelt: [large($0.header()), spelt($0.payload())])
        },
    ]

    private static let mebibyte = 1 << 20

    /// The base64url of a JSON object's text with a member that makes it 1 MiB: put together from that of its pieces,
    /// which takes no time even in a debug build.
    private static func large(_ json: [UInt8]) -> [UInt8] {
        let start = json.dropLast() + Array(#","x":""#.utf8)
        let whole = start + Array(repeating: UInt8(ascii: "x"), count: (3 - start.count % 3) % 3)
        // Three x are eHh4.
        return spelt(whole) + Array(String(repeating: "eHh4", count: mebibyte / 4).utf8) + spelt(Array(#""}"#.utf8))
    }

    private static func parts(of material: AttackMaterial) throws -> [JSONValue] {
        try material.validToken().split(separator: ".").map { .string(String($0)) }
    }

    /// Five parts as a JWE has them (RFC 7516 section 7.1). Nobody holds the key; the ciphertext is what a verifier
    /// would like to find after decryption.
    private static func encrypted(_ material: AttackMaterial, header: JSONObject, key: [UInt8]) throws -> [UInt8] {
        var header = header
        header["kid"] = .string(material.keyID.rawValue)
        header["typ"] = "at+jwt"
        let parts = [
            header.json, key, Array(repeating: 2, count: 12), material.payload(), Array(repeating: 3, count: 16),
        ]
        return Array(parts.map { Base64URL.encode($0) }.joined(separator: ".").utf8)
    }
}
