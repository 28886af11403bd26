import JOSE
import Testing

@testable import KeyService

@Suite("What an operator asks of the keys")
struct KeyAdministrationTests {
    private static func withKeys(
        _ place: KeyPlace, _ body: (KeyAdministration, any KeyStore, TestClock) async throws -> Void
    ) async throws {
        try await place.started { store, _ in
            let clock = TestClock(at(1000))
            let administration = KeyAdministration(
                store: store, planner: KeyPlanner(schedule: .test), now: { clock.now })
            try await body(administration, store, clock)
        }
    }

    @Test("is shown and not done by a dry run", arguments: KeyPlace.allCases, [true, false])
    func dryRun(_ place: KeyPlace, _ immediately: Bool) async throws {
        try await Self.withKeys(place) { administration, store, _ in
            let version = try await store.version()
            let outcome = try await administration.rotate(nil, immediately: immediately, dryRun: true)
            #expect(outcome.newKeys.map(\.activatesAt) == [at(immediately ? 1000 : 4600)])
            #expect(outcome.ring.records.count == 2)
            #expect(try await store.version() == version)
        }
    }

    @Test("names the new key of a rotation and the one that it takes over from", arguments: KeyPlace.allCases)
    func concerned(_ place: KeyPlace) async throws {
        try await Self.withKeys(place) { administration, store, clock in
            let first = try #require(try await administration.list().ring.records.first)
            let second = try await administration.rotate(nil, immediately: false, dryRun: false)
            #expect(Set(second.concerned.map(\.keyID)) == Set([first.keyID] + second.newKeys.map(\.keyID)))
            clock.now = at(9000)
            let third = try await administration.rotate(.es256, immediately: true, dryRun: false)
            #expect(third.instant == at(9000))
            #expect(Set(third.concerned.map(\.keyID)) == Set((second.newKeys + third.newKeys).map(\.keyID)))
            #expect(try await store.contents().records.count == 3)
        }
    }

    @Test("is refused without any trace where it can't be", arguments: KeyPlace.allCases)
    func refused(_ place: KeyPlace) async throws {
        try await Self.withKeys(place) { administration, store, _ in
            let version = try await store.version()
            await #expect(throws: KeyServiceError.self) {
                try await administration.rotate(.rs256, immediately: true, dryRun: false)
            }
            await #expect(throws: KeyServiceError.self) {
                try await administration.revoke(#require(KeyID("missing")), reason: "leaked")
            }
            #expect(try await store.version() == version)
        }
    }

    @Test("goes from an import over a revocation to pruning", arguments: KeyPlace.allCases)
    func wholeLife(_ place: KeyPlace) async throws {
        try await Self.withKeys(place) { administration, store, clock in
            let key = try PrivateKey.generate(for: .es256)
            let imported = try #require(
                try await administration.importKey(JWK(key), activateAt: at(2000)).newKeys.first)
            clock.now = at(2000)
            let revocation = try await administration.revoke(imported.keyID, reason: "leaked")
            #expect(revocation.newKeys.count == 1)
            clock.now = at(.days(1))
            let pruned = try await administration.prune()
            #expect(pruned.ring.records.count == 2)
            let records = try await store.contents().records
            #expect(records.first { $0.keyID == imported.keyID }?.hasPrivateKey == false)
            #expect(try await administration.list().damaged.isEmpty)
        }
    }
}
