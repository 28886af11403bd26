package import JOSE

/// The issuer of the seeds. Everybody knows its keys: they are those of RFC 7515, appendices A.2 and A.3.
package enum Issuer {
    package static let rs256 = try! key("RFC7515-A.2", .rs256)
    package static let es256 = try! key("RFC7515-A.3", .es256)

    /// What it publishes.
    package static let keySet = JWKSet(
        [es256, rs256].map { JWK($0.publicKey, keyID: $0.keyID, algorithm: $0.algorithm) })

    package static let now = Instant(seconds: 1_900_000_000)

    /// The claims of its valid tokens.
    package static let claims: JSONObject = [
        "iss": "https://issuer.example", "sub": "alice", "aud": ["https://api.example"], "client_id": "first-party",
        "iat": 1_899_999_940, "exp": 1_900_000_540, "jti": "one", "scope": "read write", "sid": "session",
        "status": ["status_list": ["idx": 7, "uri": "https://issuer.example/status/1"]], "plan": "pro",
    ]

    /// What a service asks of them.
    package static let policy = JWTPolicy(
        issuer: "https://issuer.example", audiences: ["https://api.example"],
        requiredClaims: ["sub", "client_id", "iat", "jti"])

    /// The header and payload of every token that this policy may accept: those of the valid ones, with their `kid` or
    /// without it.
    package static let acceptable = Set(
        [es256, rs256].flatMap { key in
            [key.keyID, nil].map { keyID in
                var header: JSONObject = ["alg": .string(key.algorithm!.name)]
                if let keyID { header["kid"] = .string(keyID.rawValue) }
                header["typ"] = "at+jwt"
                return Array("\(Base64URL.encode(header.json)).\(Base64URL.encode(claims.json))".utf8)
            }
        })

    /// What refresh tokens are proved with.
    package static let refreshTokenKey = SecretBytes(Array(repeating: 7, count: 32))

    private static func key(_ vector: String, _ algorithm: Algorithm) throws -> JWK {
        var key = try Vectors.key(vector)
        key.keyID = try key.publicKey.thumbprint()
        key.algorithm = algorithm
        return key
    }
}
