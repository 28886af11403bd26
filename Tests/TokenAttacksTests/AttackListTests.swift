import Testing
import TokenAttacks

@Suite("The list of attacks")
struct AttackListTests {
    static let everything = TokenAttack.all + TokenAttack.strict

    @Test("names each once, in lower case with hyphens")
    func names() {
        let names = Self.everything.map(\.name)
        #expect(Set(names).count == names.count)
        for name in names { #expect(name.wholeMatch(of: /[a-z0-9]+(-[a-z0-9]+)*/) != nil, "\(name)") }
        #expect(Self.everything.map(\.description) == names)
    }

    @Test("has every group")
    func groups() {
        let groups: Set = [
            "algorithm", "kid", "header key", "crit", "signature", "JSON", "base64url", "form", "claims",
        ]
        #expect(Set(TokenAttack.all.map(\.group)) == groups)
        #expect(Set(TokenAttack.strict.map(\.group)).isSubset(of: groups))
    }

    @Test("explains each in a sentence", arguments: everything)
    func explanation(_ attack: TokenAttack) {
        #expect(attack.explanation.hasPrefix("It ") && attack.explanation.hasSuffix("."))
    }

    @Test("keeps what the standards leave open apart")
    func strictness() {
        #expect(TokenAttack.all.allSatisfy { $0.isRefusedByAll })
        #expect(!TokenAttack.strict.contains { $0.isRefusedByAll })
    }

    @Test("knows what HTTP can carry", arguments: everything)
    func http(_ attack: TokenAttack) throws {
        for sample in SampleMaterial.usual {
            let token = try attack.token(sample.material)
            let fits = token.count <= 16 * 1024 && token.allSatisfy { (0x20...0x7E).contains($0) }
            #expect(attack.fitsHTTP == fits, "\(token.count) bytes")
        }
    }

    @Test("spoils every token that it makes", arguments: everything)
    func difference(_ attack: TokenAttack) throws {
        for sample in SampleMaterial.usual {
            #expect(try attack.token(sample.material) != Array(sample.material.validToken().utf8))
        }
    }
}
