public import JOSE
public import KeyService
public import Storage
public import TokenAttacks

extension Doctor {
    /// A token's claims that an examined endpoint expects.
    public struct Expectation: Sendable {
        public let issuer: String
        public let audience: String
        public let scopes: [String]
        public let claims: JSONObject
        public let lifetime: Duration

        public init(issuer: String, audience: String, scopes: [String], claims: JSONObject, lifetime: Duration) {
            self.issuer = issuer
            self.audience = audience
            self.scopes = scopes
            self.claims = claims
            self.lifetime = lifetime
        }
    }

    /// What to make attacks of, for each key that signs now.
    ///
    /// - Parameter status: the place in a status list that the tokens name, if any.
    public static func materials(
        _ ring: KeyRing, store: any KeyStore, algorithms: [Algorithm], expecting expectation: Expectation,
        status: JSONValue?, at now: Instant
    ) async throws -> [AttackMaterial] {
        var claims: JSONObject = [
            "iss": .string(expectation.issuer), "sub": "doctor", "aud": .string(expectation.audience),
            "client_id": .string(TokenIssuer.firstPartyClient), "iat": .integer(now.seconds),
            "exp": .integer(now.seconds + expectation.lifetime.components.seconds),
            "jti": .string(Base64URL.encode(try randomBytes(16))),
            "scope": .string(expectation.scopes.joined(separator: " ")), "sid": "doctor",
        ]
        claims["status"] = status
        for member in expectation.claims.members { claims[member.name] = member.value }
        var materials: [AttackMaterial] = []
        for algorithm in algorithms {
            guard let record = ring.active(algorithm, at: now) else { continue }
            materials.append(
                try AttackMaterial(
                    key: try await store.privateKey(of: record), keyID: record.keyID, algorithm: algorithm,
                    claims: claims, now: now))
        }
        guard !materials.isEmpty else { throw ServiceError(.failed, "no key signs now: see keys list") }
        return materials
    }

    /// A place in a status list of the issuer's that no session has.
    public static func status(issuer: String, database: any Database, address: DatabaseAddress, at now: Instant)
        async throws -> JSONValue
    {
        let store = StatusListStore(database: database, address: address)
        let place = try await store.lease(startingList: false, at: now)[0]
        var claims = JSONObjectWriter(capacity: 256)
        place.appendClaim(to: &claims, listsURL: TokenIssuer.statusListsURL(issuer: issuer))
        return try JSONObject(json: claims.json())["status"] ?? .null
    }
}
