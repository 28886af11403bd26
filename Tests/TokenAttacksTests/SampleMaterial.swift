import JOSE
import Testing
import TokenAttacks

/// An issuer with one key, that all tests share: a new RSA key takes its time.
struct SampleMaterial: Sendable, CustomTestStringConvertible {
    let material: AttackMaterial
    /// What the issuer publishes: its key, and one of another type.
    let keys: JWKSet

    var testDescription: String { material.algorithm.name }

    private init(_ algorithm: Algorithm) {
        material = try! .sample(algorithm)
        let other = algorithm.keyType == .rsa ? Algorithm.es256 : .rs256
        let otherKey = try! Self.key(for: other).publicKey
        keys = JWKSet([
            JWK(material.key.publicKey, keyID: material.keyID, algorithm: algorithm),
            JWK(otherKey, keyID: try! otherKey.thumbprint(), algorithm: other),
        ])
    }

    private static let rsaKey = try! PrivateKey.generate(for: .rs256)

    static func key(for algorithm: Algorithm) throws -> PrivateKey {
        try algorithm.keyType == .rsa ? rsaKey : .generate(for: algorithm)
    }

    static let es256 = SampleMaterial(.es256)
    static let rs256 = SampleMaterial(.rs256)
    /// The two that tokens usually have.
    static let usual = [es256, rs256]
    static let all = Algorithm.table.map {
        switch $0 {
        case .es256: es256
        case .rs256: rs256
        default: SampleMaterial($0)
        }
    }

    /// What a service should ask of an access token.
    static let policy = JWTPolicy(
        issuer: "https://issuer.example", audiences: ["https://api.example"],
        requiredClaims: ["sub", "client_id", "iat", "jti"])

    static let now = Instant(seconds: 1_900_000_000)

    static let claims: JSONObject = [
        "iss": "https://issuer.example", "sub": "alice", "aud": ["https://api.example"], "client_id": "first-party",
        "iat": 1_899_999_940, "exp": 1_900_000_540, "jti": "one", "scope": "read write", "sid": "session",
        "status": ["status_list": ["idx": 7, "uri": "https://issuer.example/status/1"]], "plan": "pro",
    ]

    /// Verifies a token as this house does.
    func verify(_ token: [UInt8], policy: JWTPolicy = policy, at now: Instant = now) throws {
        let jws = try JWS(compact: token)
        try jws.verify(with: keys)
        try policy.check(JWTClaims(json: jws.payload), header: jws.header, at: now)
    }
}

extension AttackMaterial {
    static func sample(
        _ algorithm: Algorithm, claims: JSONObject = SampleMaterial.claims, now: Instant = SampleMaterial.now
    ) throws -> AttackMaterial {
        let key = try SampleMaterial.key(for: algorithm)
        return try AttackMaterial(
            key: key, keyID: key.publicKey.thumbprint(), algorithm: algorithm, claims: claims, now: now)
    }
}

extension TokenAttack {
    static func named(_ name: String) throws -> TokenAttack {
        try #require((all + strict).first { $0.name == name }, "no attack \(name)")
    }
}
