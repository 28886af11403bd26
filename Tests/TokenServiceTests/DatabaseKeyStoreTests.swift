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
    /// A service whose database may hold keys, too; its own are in a folder.
    private struct Setup {
        let service: TestService
        let store: DatabaseKeyStore

        init() async throws {
            service = try await TestService()
            store = try DatabaseKeyStore(database: service.database, secret: service.secret)
        }

        func administration(_ store: (any KeyStore)? = nil) -> KeyAdministration {
            KeyAdministration(
                store: store ?? self.store, planner: KeyPlanner(schedule: service.settings.keySchedule),
                now: { [clock = service.clock] in clock.now })
        }

        var folder: FolderKeyStore {
            get throws { try FolderKeyStore(path: service.settings.keys, secret: service.secret) }
        }
    }

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

    @Test("rest encrypted under the master secret, and open under it alone")
    func encrypted() async throws {
        let setup = try await Setup()
        _ = try await setup.administration().rotate(nil, immediately: true, dryRun: false)
        let text = try await setup.service.database.read { try $0.query("SELECT file FROM keys")[0].text("file") }
        #expect(text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
        let other = try DatabaseKeyStore(
            database: setup.service.database, secret: MasterSecret(text: String(repeating: "x", count: 32)))
        await #expect(throws: KeyServiceError.self) { try await other.contents() }
    }

    @Test("are rotated by several at once in one order, each with a key of its own or the same")
    func atOnce() async throws {
        let setup = try await Setup()
        let administration = setup.administration()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { _ = try await administration.rotate(nil, immediately: true, dryRun: false) }
            }
            try await group.waitForAll()
        }
        let ring = try await setup.administration().list().ring
        let records = ring.records.filter { $0.algorithm == .es256 }
        #expect(records.count { ring.state(of: $0, at: setup.service.clock.now) == .active } == 1)
        #expect(try await setup.store.contents().damaged.isEmpty)
    }

    @Test("tell another version after each change, and the same after none")
    func version() async throws {
        let setup = try await Setup()
        let before = try await setup.store.version()
        _ = try await setup.administration().rotate(nil, immediately: false, dryRun: true)
        #expect(try await setup.store.version() == before)
        _ = try await setup.administration().rotate(nil, immediately: false, dryRun: false)
        #expect(try await setup.store.version() != before)
    }

    @Test("move from a folder and back, revoked ones and other systems' included, and sign as before")
    func migration() async throws {
        let setup = try await Setup()
        let folder = try setup.folder
        let inFolder = setup.administration(folder)
        let revoked = try #require(
            try await inFolder.list().ring.active(.es256, at: setup.service.clock.now)?.keyID)
        _ = try await inFolder.revoke(revoked, reason: "leaked")
        _ = try await inFolder.importVerifyOnly(
            JWK(PrivateKey.generate(for: .es256).publicKey), keyID: KeyID("theirs/1"),
            until: setup.service.clock.now + .seconds(600))
        let texts = try await folder.texts()
        try await setup.store.adopt(texts)
        let (before, after) = (try await folder.contents().records, try await setup.store.contents().records)
        #expect(Set(before.map(\.keyID)) == Set(after.map(\.keyID)))
        #expect(after.first { $0.keyID == revoked }?.revocationReason == "leaked")
        for record in after where record.hasPrivateKey {
            #expect(try await setup.store.privateKey(of: record).publicKey == record.publicKey)
        }
        let back = try FolderKeyStore(
            path: setup.service.folder.appending(path: "back").path, secret: setup.service.secret)
        try await back.adopt(setup.store.texts())
        #expect(try await back.texts().sorted() == texts.sorted())
        #expect(try await !back.contents().isNew)
    }

    @Test("aren't copied to where there are keys")
    func occupied() async throws {
        let setup = try await Setup()
        let texts = try await setup.folder.texts()
        try await setup.store.adopt(texts)
        await #expect(throws: KeyServiceError.self) { try await setup.store.adopt(texts) }
        await #expect(throws: KeyServiceError.self) { try await setup.folder.adopt(texts) }
    }

    @Test("are encrypted anew under the first line of the master secret, all or none")
    func reencryption() async throws {
        let setup = try await Setup()
        _ = try await setup.administration().rotate(nil, immediately: true, dryRun: false)
        let old = String(
            decoding: try Data(contentsOf: URL(filePath: setup.service.settings.masterSecretFile)), as: UTF8.self)
        let new = String(repeating: "n", count: 32)
        let both = try DatabaseKeyStore(
            database: setup.service.database, secret: MasterSecret(text: new + "\n" + old))
        #expect(try await both.reencrypt() == 1)
        let alone = try DatabaseKeyStore(database: setup.service.database, secret: MasterSecret(text: new))
        let record = try #require(try await alone.contents().records.first)
        #expect(try await alone.privateKey(of: record).publicKey == record.publicKey)
    }

    @Test("of which one is damaged go on without it")
    func damaged() async throws {
        let setup = try await Setup()
        _ = try await setup.administration().rotate(nil, immediately: true, dryRun: false)
        _ = try await setup.administration().rotate(nil, immediately: true, dryRun: false)
        _ = try await setup.service.database.write {
            try $0.execute("UPDATE keys SET file = 'x' WHERE id = (SELECT MIN(id) FROM keys)")
        }
        let contents = try await setup.store.contents()
        #expect(contents.records.count == 1)
        #expect(contents.damaged.count == 1)
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
