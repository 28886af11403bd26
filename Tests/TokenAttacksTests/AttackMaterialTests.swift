import JOSE
import Testing
import TokenAttacks

@Suite("The material of attacks")
struct AttackMaterialTests {
    private func changed(_ name: String, _ value: JSONValue?) -> JSONObject {
        var claims = SampleMaterial.claims
        claims[name] = value
        return claims
    }

    @Test("needs claims that a verifier would accept", arguments: ["iss", "aud", "exp"])
    func claims(_ name: String) {
        #expect(throws: JOSEError(.claimRefused, "")) { try AttackMaterial.sample(.es256, claims: changed(name, nil)) }
        #expect(throws: JOSEError(.malformed, "")) { try AttackMaterial.sample(.es256, claims: changed(name, false)) }
    }

    @Test("needs claims that haven't expired")
    func expired() {
        let later = SampleMaterial.now + .seconds(540)
        #expect(throws: JOSEError(.claimRefused, "")) { try AttackMaterial.sample(.es256, now: later) }
    }

    @Test("needs an algorithm that goes with the key")
    func algorithm() throws {
        let key = SampleMaterial.es256.material.key
        #expect(throws: JOSEError(.unsupported, "")) {
            try AttackMaterial(
                key: key, keyID: key.publicKey.thumbprint(), algorithm: .rs256, claims: SampleMaterial.claims,
                now: SampleMaterial.now)
        }
    }

    @Test("takes one audience as text")
    func audience() throws {
        let material = try AttackMaterial.sample(.es256, claims: changed("aud", "https://api.example"))
        let token = try TokenAttack.named("aud-longer").token(material)
        let claims = try JWTClaims(json: JWS(compact: token).payload)
        #expect(claims.audiences == ["https://api.example.attacker.example"])
    }
}
