import Foundation
import JOSE
import KeyService
import Logging
import Storage
import TestSupport
import Testing

@testable import TokenService

@Suite("An installation")
struct InstallationTests {
    // MARK: Keys that are missing

    @Test("whose keys are gone isn't served with new ones", arguments: ["folder", "database"])
    func keysGone(_ place: String) async throws {
        let flags = place == "database" ? ["keys": "database"] : [:]
        let service = try await TestService(flags)
        if place == "database" {
            _ = try await service.database.write { try $0.execute("DELETE FROM keys") }
        } else {
            try FileManager.default.removeItem(atPath: service.settings.keys)
        }
        let installation = Installation(settings: service.settings, logger: TestLog().logger)
        #expect(installation.hasEmptyKeyFolder == (place == "folder"))
        if place == "folder" {
            await #expect(throws: KeyServiceError.self) {
                try await installation.refuseToBegin(over: service.database)
            }
        }
        let error = await #expect(throws: KeyServiceError.self) { _ = try await service.restarted(flags) }
        #expect(error?.code == .keysMissing)
    }

    @Test("with users but without keys is served, and its keys are made")
    func usersFirst() async throws {
        try await Self.withDatabase { database in
            let installation = Installation(settings: try Self.settings(), logger: TestLog().logger)
            _ = try await Accounts(
                users: UserStore(database: database),
                hasher: PasswordHasher(cost: Self.settings().passwordCost, concurrency: 1),
                actor: .operatorNamed("test"),
                now: { Instant(seconds: 1_800_000_000) }
            ).add(name: "alice", credential: .password("correct horse"), claims: [:], scopes: [])
            try await installation.refuseToBegin(over: database)
        }
    }

    @Test("from before keys were remembered has those of its audit log")
    func migration() async throws {
        try await Self.withDatabase(version: 4) { database in
            let log = AuditLog(database: database)
            let time = Instant(seconds: 1_800_000_000)
            let events: [(AuditRecord.Event, String?)] = [
                (.keyMade, "a"), (.keyRotated, "b"), (.keyImported, "c"), (.keyRevoked, "b"), (.keyRevoked, "d"),
                (.keysPruned, nil), (.userAdded, "e"),
            ]
            for (index, (event, subject)) in events.enumerated() {
                try await log.write(
                    AuditRecord(event, by: .service, subject: subject, at: time + .seconds(Int64(index))))
            }
            try await database.migrate(Schema.migrations)
            let known = try await KnownKeys(database: database).all()
            #expect(Set(known.keys.map(\.rawValue)) == ["a", "b", "c", "d"])
            #expect(known[KeyID("a")!]?.createdAt == time)
            #expect(known.filter { $0.value.revokedAt != nil }.keys.map(\.rawValue).sorted() == ["b", "d"])
            #expect(known[KeyID("b")!]?.revokedAt == time + .seconds(3))
        }
    }

    // MARK: Its clock

    @Test(
        "warns of a clock that is more than an hour behind the newest record",
        arguments: [(-3601, true), (-3600, false), (0, false), (86_400 * 400, false)])
    func clock(_ seconds: Int64, _ isWarned: Bool) async throws {
        try await Self.withDatabase { database in
            let newest = Instant(seconds: 1_800_000_000)
            let log = TestLog()
            let installation = Installation(settings: try Self.settings(), logger: log.logger)
            await installation.checkClock(database, at: newest + .seconds(seconds))
            #expect(log.messages.isEmpty, "there is no record yet")
            for second: Int64 in [-50, 0, -90] {
                try await AuditLog(database: database).write(
                    AuditRecord(.logIn, by: .service, at: newest + .seconds(second)))
            }
            await installation.checkClock(database, at: newest + .seconds(seconds))
            #expect(log.messages.count == (isWarned ? 1 : 0))
            if isWarned {
                for part in ["warning:", "\(newest)", "\(newest + .seconds(seconds))", "timedatectl"] {
                    #expect(log.messages[0].contains(part))
                }
            }
        }
    }

    private static func settings() throws -> Settings {
        try Settings(
            SettingValues(
                flags: ["keys": "/nonexistent/keys", "password-memory": "1MiB", "password-iterations": "1"],
                environment: [:], file: nil))
    }

    /// Runs a test over an empty database.
    private static func withDatabase(
        version: Int64 = .max, _ body: (any Database) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "token-service-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = try await DatabaseAddress(TestDatabase.address(folder)).open()
        defer { try? database.close() }
        try await database.migrate(Schema.migrations.filter { $0.version <= version })
        try await body(database)
    }
}
