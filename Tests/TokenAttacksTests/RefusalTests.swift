import JOSE
import Testing
import TokenAttacks

@Suite("This house's verifier")
struct RefusalTests {
    @Test("accepts the valid token", arguments: SampleMaterial.all)
    func valid(_ sample: SampleMaterial) throws {
        try sample.verify(Array(sample.material.validToken().utf8))
    }

    @Test("refuses every attack", arguments: TokenAttack.all, SampleMaterial.usual)
    func attack(_ attack: TokenAttack, _ sample: SampleMaterial) throws {
        let token = try attack.token(sample.material)
        #expect(throws: JOSEError.self) { try sample.verify(token) }
    }

    @Test(
        "refuses what the standards leave open, too",
        arguments: TokenAttack.strict.filter { $0.name != "kid-absent" }, SampleMaterial.usual)
    func strict(_ attack: TokenAttack, _ sample: SampleMaterial) throws {
        let token = try attack.token(sample.material)
        #expect(throws: JOSEError.self) { try sample.verify(token) }
    }

    @Test("tries its keys on a token that names none", arguments: SampleMaterial.usual)
    func withoutKeyID(_ sample: SampleMaterial) throws {
        try sample.verify(TokenAttack.named("kid-absent").token(sample.material))
    }

    @Test("refuses every attack on every algorithm", arguments: SampleMaterial.all)
    func algorithm(_ sample: SampleMaterial) throws {
        for attack in AttackListTests.everything where attack.name != "kid-absent" {
            let token = try attack.token(sample.material)
            #expect(throws: JOSEError.self, "\(attack)") { try sample.verify(token) }
        }
    }

    @Test("accepts the valid token after all of them", arguments: SampleMaterial.usual)
    func afterwards(_ sample: SampleMaterial) throws {
        for attack in TokenAttack.all { _ = try? sample.verify(attack.token(sample.material)) }
        try valid(sample)
    }
}
