import JOSE
import Testing
import TokenAttacks

/// Attacks that get in nowhere would prove nothing.
@Suite("A careless verifier lets in")
struct CarelessVerifierTests {
    private static func expectIn(
        _ names: String..., through verify: (SampleMaterial, [UInt8]) throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for name in names {
            for sample in SampleMaterial.usual {
                let token = try TokenAttack.named(name).token(sample.material)
                #expect(throws: Never.self, "\(name)", sourceLocation: sourceLocation) { try verify(sample, token) }
            }
        }
    }

    /// Header, payload and signature, read without any care; the claims have to be in order.
    private static func read(_ token: [UInt8]) throws -> (header: JSONObject, signature: [UInt8], input: [UInt8]) {
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        func decoded(_ part: [UInt8].SubSequence) throws -> [UInt8] {
            try Base64URL.decode(String(decoding: part, as: UTF8.self))
        }
        _ = try JWTClaims(json: decoded(parts[1]))
        let signature = parts.count > 2 ? try decoded(parts[2]) : []
        return (
            try JSONObject(json: decoded(parts[0])), signature, Array(token.prefix(parts[0].count + 1 + parts[1].count))
        )
    }

    private static func require(_ holds: Bool) throws {
        if !holds { throw JOSEError(.signatureInvalid, "a signature that even a careless verifier refuses") }
    }

    @Test("tokens that nobody signed")
    func unsigned() throws {
        try Self.expectIn(
            "alg-none", "alg-none-mixed-case", "alg-none-two-parts", "alg-none-with-signature", "alg-none-escaped"
        ) { try Self.require(Self.read($1).header["alg"]?.string?.lowercased() == "none") }
    }

    @Test("tokens with the public key as a secret")
    func publicKeyAsSecret() throws {
        func verify(_ token: [UInt8], secret: String) throws {
            let read = try Self.read(token)
            let code = try HMACSHA256.authenticationCode(for: read.input, key: SecretBytes(secret.utf8))
            try Self.require(read.header["alg"] == "HS256" && code == read.signature)
        }
        try Self.expectIn("hmac-pem") { try verify($1, secret: $0.material.key.publicKey.pem()) }
        try Self.expectIn("hmac-jwk") { try verify($1, secret: $0.keys.keys[0].publicMembers().jsonText) }
        try Self.expectIn("hmac-empty-secret", "kid-path-dev-null") { try verify($1, secret: "\0") }
    }

    @Test("tokens that bring their key")
    func ownKey() throws {
        try Self.expectIn("jwk-header", "jwk-header-kid-of-issuer", "jwk-header-kid-absent") {
            let (header, signature, input) = try Self.read($1)
            let key = try JWK(members: header["jwk"]?.object ?? [:])
            try Self.require(
                key.publicKey.isValidSignature(signature, of: input, algorithm: $0.material.algorithm))
        }
    }

    @Test("tokens whose header it passes over")
    func header() throws {
        try Self.expectIn(
            "crit-unknown", "crit-string", "crit-array-of-numbers", "alg-unknown", "alg-missing", "kid-unknown",
            "typ-jwt", "b64-false-encoded"
        ) {
            let (_, signature, input) = try Self.read($1)
            try Self.require(
                $0.material.key.publicKey.isValidSignature(signature, of: input, algorithm: $0.material.algorithm))
        }
    }

    @Test("tokens whose claims it passes over")
    func claims() throws {
        var policy = SampleMaterial.policy
        policy.type = nil
        try Self.expectIn("typ-missing", "typ-jwt", "typ-status-list") { try $0.verify($1, policy: policy) }
        policy = SampleMaterial.policy
        policy.audiences = []
        try Self.expectIn("aud-missing", "aud-empty-array", "aud-other", "aud-others", "aud-longer") {
            try $0.verify($1, policy: policy)
        }
        policy = SampleMaterial.policy
        policy.issuer = "https://attacker.example"
        try Self.expectIn("iss-other") { try $0.verify($1, policy: policy) }
        policy = SampleMaterial.policy
        policy.leeway = .seconds(90_000)
        try Self.expectIn("exp-past", "exp-past-float", "nbf-future", "nbf-future-float", "iat-future") {
            try $0.verify($1, policy: policy)
        }
    }

    @Test("tokens with something behind them")
    func parts() throws {
        try Self.expectIn("four-parts", "five-parts", "six-parts", "dot-behind") {
            let three = $1.split(separator: UInt8(ascii: ".")).prefix(3).joined(separator: [UInt8(ascii: ".")])
            try $0.verify(Array(three))
        }
    }
}
