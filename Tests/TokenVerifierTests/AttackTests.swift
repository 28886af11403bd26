import JOSE
import TokenAttacks
import Testing

@testable import TokenVerifier

@Suite("Known attacks on a verifier")
struct AttackTests {
    /// What this house refuses besides what every verifier has to: all but a token without `kid`, where a key fits.
    static let attacks = TokenAttack.all + TokenAttack.strict.filter { $0.name != "kid-absent" }

    @Test("are all refused, and it goes on to accept a valid token", arguments: [Algorithm.es256, .rs256])
    func refused(algorithm: Algorithm) async throws {
        let issuer = try FakeIssuer()
        let key = try FakeIssuer.Key(algorithm)
        // Both kinds of key are published: that gives the more to choose from.
        let other = try FakeIssuer.Key(algorithm == .es256 ? .rs256 : .es256)
        issuer.state.withLock { $0.keys = [other, key] }
        let verifier = issuer.plainVerifier()
        let material = try AttackMaterial(
            key: key.key, keyID: key.keyID, algorithm: algorithm, claims: issuer.claims(), now: issuer.now)
        // Also when the token that they are made of was seen before.
        _ = try await verifier.verify(material.validToken()).get()
        for attack in Self.attacks {
            let token = String(decoding: try attack.token(material), as: UTF8.self)
            let rejection = try await verifier.verify(token).rejection
            #expect(rejection != nil, "\(attack): \(attack.explanation)")
        }
        _ = try await verifier.verify(material.validToken()).get()
    }
}
