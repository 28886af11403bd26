import JOSE
import Testing

@testable import TokenAttacks

/// Who refuses a token for a bad signature only has not shown that it sees the flaw.
@Suite("An attack has no flaw but its own")
struct FlawTests {
    /// What was signed, as it is spelt, and the signature.
    private struct JWSParts {
        let input: [UInt8]
        let signature: [UInt8]

        init(_ token: [UInt8]) throws {
            let end = try #require(token.lastIndex(of: dot))
            input = Array(token[..<end])
            signature = try Base64URL.decode(String(decoding: token[(end + 1)...], as: UTF8.self))
        }
    }

    private static func isSigned(_ token: [UInt8], by key: PublicKey, _ algorithm: Algorithm) throws -> Bool {
        let parts = try JWSParts(token)
        return try key.isValidSignature(parts.signature, of: parts.input, algorithm: algorithm)
    }

    static let signedByIssuer =
        AttackListTests.everything.filter { ["crit", "JSON", "claims"].contains($0.group) }
        + AttackListTests.everything.filter { $0.group == "base64url" && !$0.name.hasSuffix("-signature") }
        + TokenAttack.strict.filter { $0.group == "kid" }

    @Test("and is signed by the issuer where that is another than the signature's", arguments: signedByIssuer)
    func issuer(_ attack: TokenAttack) throws {
        for material in SampleMaterial.usual.map(\.material) {
            let token = try attack.token(material)
            #expect(try Self.isSigned(token, by: material.key.publicKey, material.algorithm))
        }
    }

    static let signedByAttacker = TokenAttack.all.filter {
        $0.group == "header key" && $0.name != "jwk-header-secret" || $0.name.contains("foreign-key")
    }

    @Test("and is signed by the attacker where the key is the flaw", arguments: signedByAttacker)
    func attacker(_ attack: TokenAttack) throws {
        for material in SampleMaterial.usual.map(\.material) {
            let token = try attack.token(material)
            let signer = attack.name.hasSuffix("key-type") ? material.stranger : material.attacker
            #expect(try Self.isSigned(token, by: signer.key.publicKey, signer.algorithm))
        }
    }

    @Test("and has the valid token's claims where the signature is the flaw")
    func claims() throws {
        for attack in TokenAttack.all where attack.group == "signature" && attack.name != "signature-of-other-claims" {
            let parts = try attack.token(SampleMaterial.es256.material).split(
                separator: dot, omittingEmptySubsequences: false)
            let payload = try Base64URL.decode(String(decoding: parts[1], as: UTF8.self))
            #expect(payload == SampleMaterial.claims.json)
        }
    }

    @Test("and is as long as a sound signature where only a number is out of range", arguments: SampleMaterial.all)
    func ranges(_ sample: SampleMaterial) throws {
        let valid = try JWSParts(Array(sample.material.validToken().utf8)).signature
        for attack in TokenAttack.all where attack.name.wholeMatch(of: /signature-[rs]-(zero|at-order)/) != nil {
            let signature = try JWSParts(attack.token(sample.material)).signature
            #expect(signature.count == valid.count && signature != valid, "\(attack)")
        }
        let parts = try JWSParts(TokenAttack.named("signature-swapped").token(sample.material))
        let half = parts.signature.count / 2
        let sound = Array(parts.signature.suffix(half) + parts.signature.prefix(half))
        let key = sample.material.key.publicKey
        #expect(try key.isValidSignature(sound, of: parts.input, algorithm: sample.material.algorithm))
    }

    @Test("and shares its keys with what the attacker publishes", arguments: SampleMaterial.usual)
    func attackerJWKS(_ sample: SampleMaterial) throws {
        let keys = try JWKSet(json: sample.material.attackerJWKS())
        #expect(keys.keys.map(\.keyID) == [sample.material.attacker.keyID, sample.material.keyID])
        for name in ["jku-header", "jku-header-kid-of-issuer", "jku-header-kid-absent"] {
            try JWS(compact: TokenAttack.named(name).token(sample.material)).verify(with: keys)
        }
    }

    @Test("and points where it is told to")
    func attackerURL() throws {
        var material = SampleMaterial.es256.material
        material.attackerURL = "http://127.0.0.1:8080/keys"
        func header(_ name: String) throws -> JSONObject {
            try JWS(compact: TokenAttack.named(name).token(material)).header.members
        }
        #expect(try header("jku-header")["jku"] == "http://127.0.0.1:8080/keys")
        #expect(try header("x5u-header")["x5u"] == "http://127.0.0.1:8080/keys")
        #expect(try header("kid-url")["kid"] == "http://127.0.0.1:8080/keys")
        #expect(
            try header("jku-header-issuer-as-user")["jku"] == "http://issuer.example@127.0.0.1:8080/keys")
    }
}
