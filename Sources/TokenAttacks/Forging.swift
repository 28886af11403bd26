import JOSE

/// The other members of a header or a payload; `nil` takes one out.
typealias Changes = KeyValuePairs<String, JSONValue?>

typealias Sign = ([UInt8]) throws -> [UInt8]

extension AttackMaterial {
    /// The JSON text of the issuer's usual header, with some members changed.
    func header(_ changes: Changes = [:]) -> [UInt8] {
        let usual: JSONObject = [
            "alg": .string(algorithm.name), "kid": .string(keyID.rawValue), "typ": "at+jwt",
        ]
        return usual.with(changes).json
    }

    /// The JSON text of the valid token's claims, with some changed.
    func payload(_ changes: Changes = [:]) -> [UInt8] { claims.with(changes).json }

    /// A token of any header and payload, which the issuer signs unless somebody else does.
    func token(header: [UInt8]? = nil, payload: [UInt8]? = nil, sign: Sign? = nil) throws -> [UInt8] {
        let parts = [header ?? self.header(), payload ?? self.payload()]
        return try token(spelt: parts.map(TokenAttacks.spelt), sign: sign)
    }

    /// A token of a header and a payload that are spelt already.
    func token(spelt parts: [[UInt8]], sign: Sign? = nil) throws -> [UInt8] {
        let input = Array(parts.joined(separator: [dot]))
        return input + [dot] + TokenAttacks.spelt(try sign?(input) ?? issuer.signature(of: input))
    }

    /// A token that the attacker signs.
    func foreignToken(header: [UInt8], payload: [UInt8]? = nil) throws -> [UInt8] {
        try token(header: header, payload: payload, sign: attacker.signature)
    }

    /// A token with the code of HMAC-SHA-256 in place of a signature.
    func token(secret: [UInt8], kid: String? = nil) throws -> [UInt8] {
        try token(header: header(["alg": "HS256", "kid": .string(kid ?? keyID.rawValue)])) {
            try HMACSHA256.authenticationCode(for: $0, key: SecretBytes(secret))
        }
    }

    /// The valid token, the bytes of its signature changed.
    func token(spoilingSignature change: @escaping ([UInt8]) throws -> [UInt8]) throws -> [UInt8] {
        try token(sign: { try change(issuer.signature(of: $0)) })
    }

    /// Seconds since 1970, so many after now.
    func seconds(after duration: Int64) -> JSONValue { .integer(now.seconds + duration) }
}

/// What stands between the parts of a token.
let dot = UInt8(ascii: ".")

/// Bytes as a token spells them: base64url.
func spelt(_ bytes: [UInt8]) -> [UInt8] { Array(Base64URL.encode(bytes).utf8) }

let day: Int64 = 86_400

extension JSONObject {
    func with(_ changes: Changes) -> JSONObject {
        var object = self
        for (name, value) in changes { object[name] = value }
        return object
    }
}

extension [UInt8] {
    /// A JSON object's text with one more member at its end, spelt as it comes.
    func appending(member: some Collection<UInt8>) -> [UInt8] {
        dropLast() + [UInt8(ascii: ",")] + member + [UInt8(ascii: "}")]
    }

    func appending(member: String) -> [UInt8] { appending(member: Array(member.utf8)) }

    /// A JSON object's text with one more member at its beginning.
    func prepending(member: String) -> [UInt8] { Array("{\(member),".utf8) + dropFirst() }
}
