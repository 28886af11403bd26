import JOSE

private let attack = AttackGroup("algorithm")

extension TokenAttack {
    /// HMAC with what everybody knows as its secret: the public key in all its spellings (RFC 8725 section 2.1).
    static let secret: [TokenAttack] = [
        ofPublicKey("pem", "as PEM") { try $0.publicKey.pem() },
        ofPublicKey("pem-without-newline", "as PEM without the last line break") {
            String(try $0.publicKey.pem().dropLast())
        },
        ofPublicKey("pem-with-blank-line", "as PEM with a blank line at its end") { try $0.publicKey.pem() + "\n" },
        ofPublicKey("pem-crlf", "as PEM with the line breaks of Windows") {
            try $0.publicKey.pem().replacing("\n", with: "\r\n")
        },
        ofPublicKey("pem-one-line", "as PEM without line breaks") { try $0.publicKey.pem().replacing("\n", with: "") },
        ofPublicKey("pem-without-white-space", "as PEM without white space") {
            try $0.publicKey.pem().filter { !$0.isWhitespace }
        },
        ofPublicKey("pem-body", "as the base64 inside the PEM") { try PEM.body($0.publicKey.pem()) },
        ofPublicKey("jwk", "as the JWK that is published") { try $0.publicMembers().jsonText },
        ofPublicKey("jwk-required-members", "as a JWK of the required members") {
            try $0.requiredMembers().jsonText
        },
        ofPublicKey("jwks", "as the JWK Set that is published") {
            String(decoding: try JWKSet([$0]).json(), as: UTF8.self)
        },
        attack("hmac-der", "It takes the public key, as DER, for a secret of HMAC.") {
            try $0.token(secret: PEM.content($0.key.publicKey.pem()))
        },
        attack("hmac-raw", "It takes the coordinate or modulus of the public key for a secret of HMAC.") {
            let members = try $0.issuer.jwk.publicMembers()
            return try $0.token(secret: Base64URL.decode((members["n"] ?? members["x"])?.string ?? ""))
        },
        attack("hmac-empty-secret", "It takes nothing for a secret of HMAC.") {
            // HMAC pads its key with zeros: one of them makes the same code as none, which OpenSSL wouldn't take.
            try $0.token(secret: [0])
        },
        attack("hmac-weak-secret", "It kept a secret of HMAC from an example, and accepts it.") {
            try $0.token(secret: Array("secret".utf8))
        },
    ]

    private static func ofPublicKey(
        _ name: String, _ form: String, secret: @escaping @Sendable (JWK) throws -> String
    ) -> TokenAttack {
        attack("hmac-\(name)", "It takes the public key, \(form), for a secret of HMAC.") {
            try $0.token(secret: Array(secret($0.issuer.jwk).utf8))
        }
    }
}

extension JWK {
    /// The public members without `kid`, `alg` and `use`.
    func requiredMembers() throws -> JSONObject { try publicMembers().with(["kid": nil, "alg": nil, "use": nil]) }
}
