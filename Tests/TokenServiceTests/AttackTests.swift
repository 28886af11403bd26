import HTTPTypes
import JOSE
import KeyService
import Testing
import TokenAttacks

@testable import TokenService

@Suite("Known attacks on /auth/me")
struct AttackTests {
    @Test("are all refused as OAuth has it, and it goes on to answer", arguments: [Algorithm.es256, .rs256])
    func refused(algorithm: Algorithm) async throws {
        let service = try await TestService(["algorithms": algorithm == .es256 ? "ES256,RS256" : "RS256,ES256"])
        try await service.addUser()
        let valid = try await service.logIn().access
        let store = try FolderKeyStore(path: service.settings.keys, secret: service.secret)
        let ring = try await KeyAdministration(
            store: store, planner: KeyPlanner(schedule: service.settings.keySchedule),
            now: { [clock = service.clock] in clock.now }
        ).list().ring
        let record = try #require(ring.active(algorithm, at: service.clock.now))
        let material = try AttackMaterial(
            key: await store.privateKey(of: record), keyID: record.keyID, algorithm: algorithm,
            claims: JSONObject(json: try JWS(compact: valid).payload), now: service.clock.now)
        #expect(try await service.get("/auth/me", bearer: material.validToken()).status == .ok)
        for attack in TokenAttack.all + TokenAttack.strict where attack.fitsHTTP && attack.name != "kid-absent" {
            let token = String(decoding: try attack.token(material), as: UTF8.self)
            let answer = try await service.get("/auth/me", bearer: token)
            #expect(answer.status == .unauthorized, "\(attack): \(attack.explanation)")
            #expect(answer.error == "invalid_token", "\(attack)")
            #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer error=\"invalid_token\"") == true, "\(attack)")
        }
        #expect(try await service.get("/auth/me", bearer: valid).status == .ok)
    }
}
