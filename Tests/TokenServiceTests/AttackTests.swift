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
        let (service, valid, material) = try await Self.setUp(algorithm)
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

    /// A service, a user's token, and what attackers make theirs of.
    private static func setUp(_ algorithm: Algorithm) async throws -> (TestService, String, AttackMaterial) {
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
        return (service, valid, material)
    }

    @Test("are all inactive to introspection, and nothing to exchange, but for those that are for others")
    func introspection() async throws {
        let (service, valid, material) = try await Self.setUp(.es256)
        let api = try await service.addClient("api", may: ["introspect", "exchange"])
        let answer = try await service.form("/oauth2/introspect", ["token": valid], as: api)
        #expect(try answer.json["active"] == true)
        for attack in TokenAttack.all + TokenAttack.strict where attack.fitsHTTP && attack.name != "kid-absent" {
            // Both take tokens for any audience.
            if attack.name.hasPrefix("aud-") { continue }
            let token = String(decoding: try attack.token(material), as: UTF8.self)
            let answer = try await service.form("/oauth2/introspect", ["token": token], as: api)
            #expect(try answer.json == (token.isEmpty ? answer.json : ["active": false]), "\(attack)")
            #expect(try await service.exchange(token, as: api).error == "invalid_request", "\(attack)")
        }
    }
}
