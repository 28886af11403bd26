import Foundation
import JOSE
import Logging
import Storage
import TestSupport
import Testing

@testable import KeyService

@Suite("Keys that the database remembers")
struct KnownKeysTests {
    /// A place for keys, and what a database remembers of them.
    private struct Bench {
        let place: OpenPlace
        let database: any Database
        let clock = TestClock(at(0))
        let log = TestLog()

        var known: KnownKeys { KnownKeys(database: database) }

        func start(_ schedule: KeySchedule = .test) async throws -> KeyService {
            try await KeyService(
                store: place.store(.test("a")), knownKeys: known, planner: KeyPlanner(schedule: schedule),
                now: { clock.now }, logger: log.logger)
        }

        /// Another process beside the service.
        func store() throws -> any KeyStore { try place.store(.test("a")) }

        /// The text of a key as it is now.
        func text(of keyID: KeyID) async throws -> String {
            let text = Locked("")
            try await place.edit(keyID) { current in
                text.withLock { $0 = current }
                return current
            }
            return text.withLock { $0 }
        }

        func revoke(_ keyID: KeyID) async throws {
            let administration = KeyAdministration(
                store: try store(), planner: KeyPlanner(schedule: .test), now: { clock.now })
            _ = try await administration.revoke(keyID, reason: "leaked")
        }
    }

    private static func withBench(_ place: KeyPlace, _ body: (Bench) async throws -> Void) async throws {
        try await withFolder { folder in
            let database = try await DatabaseAddress(TestDatabase.address(URL(fileURLWithPath: folder))).open()
            defer { try? database.close() }
            try await database.migrate([Migration(version: 1, name: "known keys", statements: KnownKeys.tables)])
            try await place.empty { try await body(Bench(place: $0, database: database)) }
        }
    }

    // MARK: Keys that are missing

    @Test("and that aren't there stop the start, and nothing is made in their place", arguments: KeyPlace.allCases)
    func missing(_ place: KeyPlace) async throws {
        try await Self.withBench(place) { bench in
            let earlier = try record(created: at(-90), activates: at(0))
            try await bench.known.remember([earlier, record(created: at(-99), activates: at(0))])
            let error = await #expect(throws: KeyServiceError.self) { try await bench.start() }
            #expect(error?.code == .keysMissing)
            for part in [try bench.store().place, "knows 2", "\(earlier.keyID)", "keys rotate --immediately"] {
                #expect(error?.reason.contains(part) == true)
            }
            let contents = try await bench.store().contents()
            #expect(contents.isNew)
            #expect(bench.log.messages.isEmpty)
        }
    }

    @Test("stop a start over what was imported since only", arguments: KeyPlace.allCases)
    func importedOnly(_ place: KeyPlace) async throws {
        try await Self.withBench(place) { bench in
            try await bench.known.remember([record(activates: at(0))])
            let imported = try verifyOnlyRecord(until: at(.days(1)))
            try await bench.store().change { _ in ([.add(imported, nil)], ()) }
            let error = await #expect(throws: KeyServiceError.self) { try await bench.start() }
            #expect(error?.code == .keysMissing)
        }
    }

    @Test("don't stop a start with keys that an operator made instead", arguments: KeyPlace.allCases)
    func madeByHand(_ place: KeyPlace) async throws {
        try await Self.withBench(place) { bench in
            try await bench.known.remember([record(activates: at(0))])
            let made = try await bench.store().rotate(immediately: true, at: at(0))
            let service = try await bench.start(.test { $0.algorithms = [.es256, .es384] })
            #expect(try service.current().signingKey?.keyID == made.keyID)
            #expect(try service.current().keySet.keys.count == 2)
        }
    }

    @Test(
        "aren't there before the keys are, so that a first start that was killed goes on", arguments: KeyPlace.allCases)
    func killedFirstStart(_ place: KeyPlace) async throws {
        try await Self.withBench(place) { bench in
            let made = try await bench.store().start(at: at(0)).map(\.keyID)
            #expect(try await bench.known.all().isEmpty)
            let service = try await bench.start()
            #expect(try service.current().signingKey?.keyID == made[0])
            #expect(try await bench.known.all().keys.sorted() == made)
        }
    }

    @Test("are those that a service made, rotated and saw", arguments: KeyPlace.allCases)
    func remembered(_ place: KeyPlace) async throws {
        try await Self.withBench(place) { bench in
            let service = try await bench.start()
            try await bench.store().rotate(at: at(1))
            try await service.refresh()
            let records = try await bench.store().contents().records
            #expect(records.count == 2)
            #expect(try await bench.known.all().keys.sorted() == records.map(\.keyID).sorted())
        }
    }

    // MARK: Keys that come back

    @Test(
        "stay revoked where an older copy of one is put back", arguments: KeyPlace.allCases, [true, false])
    func putBack(_ place: KeyPlace, _ isRunning: Bool) async throws {
        try await Self.withBench(place) { bench in
            var service = try await bench.start()
            let first = try #require(try service.current().signingKey?.keyID)
            let copy = try await bench.text(of: first)
            bench.clock.now = at(100)
            try await bench.revoke(first)
            try await service.refresh()
            let replacement = try #require(try service.current().signingKey?.keyID)
            bench.clock.now = at(.days(20))
            try await bench.place.edit(first) { _ in copy }
            if isRunning { try await service.refresh() } else { service = try await bench.start() }
            #expect(try service.current().keySet.keys.map(\.keyID) == [replacement])
            let stored = try await bench.store().contents().records.first { $0.keyID == first }
            #expect(stored?.revokedAt == at(100))
            #expect(
                bench.log.messages.filter { $0.hasPrefix("warning:") }
                    == ["warning: a key that was revoked had been put back, and is revoked again"])
        }
    }

    @Test(
        "stay revoked where the place was set back to before, and another signs at once",
        arguments: KeyPlace.allCases, [true, false])
    func setBack(_ place: KeyPlace, _ isRunning: Bool) async throws {
        try await Self.withBench(place) { bench in
            var service = try await bench.start()
            let first = try #require(try service.current().signingKey?.keyID)
            let copy = try await bench.text(of: first)
            bench.clock.now = at(100)
            try await bench.revoke(first)
            try await service.refresh()
            let replacement = try #require(try service.current().signingKey?.keyID)
            try await bench.place.edit(replacement) { _ in nil }
            try await bench.place.edit(first) { _ in copy }
            if isRunning { try await service.refresh() } else { service = try await bench.start() }
            let signing = try #require(try service.current().signingKey?.keyID)
            #expect(![first, replacement].contains(signing))
            #expect(try service.current().keySet.keys.map(\.keyID) == [signing])
        }
    }

    @Test("are revoked also while the database can't be asked, by what the service saw itself")
    func withoutDatabase() async throws {
        try await Self.withBench(.folder) { bench in
            let service = try await bench.start()
            let first = try #require(try service.current().signingKey?.keyID)
            let copy = try await bench.text(of: first)
            try bench.database.close()
            bench.clock.now = at(100)
            try await bench.revoke(first)
            for _ in 0..<3 {
                try await service.refresh()
                try await bench.place.edit(first) { _ in copy }
            }
            try await service.refresh()
            #expect(try !service.current().keySet.keys.map(\.keyID).contains(first))
            #expect(bench.log.messages.count { $0.hasPrefix("error: can't read which keys were revoked") } == 1)
        }
    }

    @Test("stay revoked whatever is remembered later")
    func forEver() async throws {
        try await Self.withBench(.folder) { bench in
            let key = try record(activates: at(0))
            var revoked = key
            revoked.revokedAt = at(5)
            for each in [key, revoked, key] { try await bench.known.remember([each]) }
            revoked.revokedAt = at(9)
            try await bench.known.remember([revoked])
            #expect(
                try await bench.known.all() == [key.keyID: KnownKeys.Key(createdAt: key.createdAt, revokedAt: at(5))])
        }
    }
}
