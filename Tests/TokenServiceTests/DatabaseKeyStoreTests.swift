import Foundation
import HTTPTypes
import JOSE
import KeyService
import Logging
import Storage
import Testing

@testable import TokenService

@Suite("Keys in the database")
struct DatabaseKeyStoreTests {
    @Test("a service starts with them, signs, rotates and hears of what another node did")
    func service() async throws {
        let first = try await TestService(["keys": "database"])
        try await first.addUser()
        let token = try await first.logIn().access
        let second = try await first.restarted(["keys": "database"])
        #expect(try await second.get("/auth/me", bearer: token).status == .ok)
        let store = try DatabaseKeyStore(database: first.database, secret: first.secret)
        let administration = KeyAdministration(
            store: store, planner: KeyPlanner(schedule: first.settings.keySchedule),
            now: { [clock = first.clock] in clock.now })
        let keyID = try #require(try await administration.list().ring.active(.es256, at: first.clock.now)?.keyID)
        _ = try await administration.revoke(keyID, reason: "leaked")
        first.clock.advance(.seconds(1))
        for service in [first, second] {
            #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
        }
        let next = try await second.logIn().access
        #expect(try await first.get("/auth/me", bearer: next).status == .ok)
    }

    @Test("need a master secret that is there already")
    func secret() async throws {
        let settings = try Settings(
            SettingValues(
                flags: ["keys": "database", "master-secret-file": "/nonexistent/master.secret"], environment: [:],
                file: nil))
        #expect(throws: KeyServiceError.self) {
            try Installation(settings: settings, logger: Logger(label: "test")).masterSecret(creating: true)
        }
    }
}
