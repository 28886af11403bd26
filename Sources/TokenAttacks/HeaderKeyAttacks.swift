import JOSE

private let attack = AttackGroup("header key")

extension TokenAttack {
    /// The token brings the key to check it with (RFC 8725 section 3.10): each with the attacker's own `kid`, which the
    /// attacker's key set has, under the issuer's, and without one.
    static let headerKey =
        [
            variants("jwk-header", "It checks the signature with the key that the token brings as jwk") {
                ["jwk": .object(try $0.attacker.jwk.publicMembers())]
            },
            variants("jku-header", "It fetches the key set that the token names in jku") {
                ["jku": .string($0.attackerURL)]
            },
            variants("x5u-header", "It fetches the certificate that the token names in x5u") {
                ["x5u": .string($0.attackerURL)]
            },
            variants("x5c-header", "It checks the signature with the certificate that the token brings as x5c") {
                ["x5c": [.string(StandardBase64.encode(try Certificate.selfSigned(by: $0.attacker)))]]
            },
        ].flatMap { $0 } + [
            attack("jku-header-issuer-as-user", "It trusts a jku that begins like the issuer's address.") {
                let url = $0.attackerURL.replacing("://", with: "://\(host(of: $0.issuerName))@", maxReplacements: 1)
                return try $0.foreignToken(
                    header: $0.header(["kid": .string($0.attacker.keyID.rawValue), "jku": .string(url)]))
            },
            attack("jwk-header-secret", "It takes a secret of HMAC from the jwk that the token brings.") { material in
                let secret = Array("the attacker's own secret, no less".utf8)
                let key: JSONObject = ["kty": "oct", "k": .string(Base64URL.encode(secret))]
                return try material.token(header: material.header(["alg": "HS256", "jwk": .object(key)])) {
                    try HMACSHA256.authenticationCode(for: $0, key: SecretBytes(secret))
                }
            },
        ]

    private static func variants(
        _ name: String, _ explanation: String, members: @escaping @Sendable (AttackMaterial) throws -> JSONObject
    ) -> [TokenAttack] {
        let kids: [(String, String, @Sendable (AttackMaterial) -> JSONValue?)] = [
            ("", ".", { .string($0.attacker.keyID.rawValue) }),
            ("-kid-of-issuer", ", under the issuer's kid.", { .string($0.keyID.rawValue) }),
            ("-kid-absent", ", where there is no kid.", { _ in nil }),
        ]
        return kids.map { suffix, ending, kid in
            attack(name + suffix, explanation + ending) {
                var header = try JSONObject(json: $0.header(["kid": kid($0)]))
                for member in try members($0).members { header[member.name] = member.value }
                return try $0.foreignToken(header: header.json)
            }
        }
    }

    private static func host(of url: String) -> Substring {
        let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
        return url[start...].prefix { $0 != "/" }
    }
}
