import Foundation
import JOSE
import Logging
import TestSupport
import Testing

@testable import KeyService

@Suite("A running key service")
struct KeyServiceTests {
    /// A service over a place for keys, by a clock that starts at 0.
    struct Running {
        let service: KeyService
        let clock: TestClock
        let log: TestLog
        let place: OpenPlace

        /// Another process beside it.
        func store() throws -> any KeyStore { try place.store(.test("a")) }

        func signingKey() throws -> KeyID? { try service.current().signingKey?.keyID }

        func published() throws -> Set<KeyID> { Set(try service.current().keySet.keys.compactMap(\.keyID)) }
    }

    private static func withService(
        _ place: KeyPlace, _ schedule: KeySchedule = .test, _ body: (Running) async throws -> Void
    ) async throws {
        try await place.empty { place in
            try await body(start(schedule, clock: TestClock(at(0)), place: place))
        }
    }

    private static func start(
        _ schedule: KeySchedule = .test, clock: TestClock, place: OpenPlace
    ) async throws -> Running {
        let log = TestLog()
        let service = try await KeyService(
            store: place.store(.test("a")), planner: KeyPlanner(schedule: schedule), now: { clock.now },
            logger: log.logger)
        return Running(service: service, clock: clock, log: log, place: place)
    }

    @Test("signs from its first start, and says what it made", arguments: KeyPlace.allCases)
    func firstStart(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let view = try running.service.current()
            let signing = try #require(view.signingKey)
            let token = try signing.accessTokens.sign(Array("{}".utf8))
            let jws = try JWS(compact: token)
            #expect(try jws.verify(with: view.keySet).keyID == signing.keyID)
            #expect(jws.header.type == "at+jwt")
            #expect(signing.longestTokenLifetime(at: running.clock.now) == .seconds(600))
            #expect(running.log.messages == ["notice: made a key"])
        }
    }

    @Test(
        "signs with the first algorithm that has a key, in the order of the setting", arguments: KeyPlace.allCases,
        [true, false])
    func preference(_ place: KeyPlace, _ isReversed: Bool) async throws {
        let algorithms = isReversed ? [Algorithm.es384, .es256] : [.es256, .es384]
        try await Self.withService(place, .test { $0.algorithms = algorithms }) { running in
            let signing = try running.service.current().signingKey
            #expect(signing?.accessTokens.algorithm == algorithms[0])
        }
    }

    @Test(
        "signs by an added algorithm, though it comes first, only once verifiers have seen its key",
        arguments: KeyPlace.allCases)
    func addedFirst(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let added = try await Self.start(
                .test { $0.algorithms = [.es384, .es256] }, clock: running.clock, place: running.place)
            #expect(try added.service.current().signingKey?.accessTokens.algorithm == .es256)
            #expect(try added.published().count == 2)
            running.clock.now = at(3600)
            #expect(try added.service.current().signingKey?.accessTokens.algorithm == .es384)
        }
    }

    @Test("signs by a replaced algorithm until the new one does", arguments: KeyPlace.allCases)
    func replaced(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let other = try await Self.start(
                .test { $0.algorithms = [.es384] }, clock: running.clock, place: running.place)
            running.clock.now = at(3600) - .instant
            #expect(try other.service.current().signingKey?.accessTokens.algorithm == .es256)
            // That the new key soon signs was recorded by now.
            try await other.service.refresh()
            #expect(try other.service.current().signingKey?.accessTokens.algorithm == .es256)
            running.clock.now = at(3600)
            #expect(try other.service.current().signingKey?.accessTokens.algorithm == .es384)
        }
    }

    @Test(
        "sees another process's rotation when it looks, and changes keys at the instant, with nothing running",
        arguments: KeyPlace.allCases)
    func rotation(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let first = try running.signingKey()
            let second = try await running.store().rotate(at: at(100))
            #expect(try running.published().count == 1)
            try await running.service.refresh()
            #expect(try running.published().count == 2)
            running.clock.now = at(3700) - .instant
            #expect(try running.signingKey() == first)
            running.clock.now = at(3700)
            #expect(try running.signingKey() == second.keyID)
            #expect(try running.published().count == 2)
            running.clock.now = at(3700 + 630) - .instant
            #expect(try running.published().count == 2)
            running.clock.now = at(3700 + 630)
            #expect(try running.published() == [second.keyID])
        }
    }

    @Test("drops a revoked key when it looks, and signs with the replacement", arguments: KeyPlace.allCases)
    func revocation(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let first = try #require(try running.signingKey())
            let administration = KeyAdministration(
                store: try running.store(), planner: KeyPlanner(schedule: .test), now: { at(100) })
            _ = try await administration.revoke(first, reason: "leaked")
            running.clock.now = at(100)
            try await running.service.refresh()
            let published = try running.published()
            #expect(!published.contains(first))
            #expect(published == [try #require(try running.signingKey())])
        }
    }

    @Test("makes the next key when it looks and one is due, once", arguments: KeyPlace.allCases)
    func automaticRotation(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let first = try running.signingKey()
            running.clock.now = at(.days(30) - .hours(2))
            try await running.service.refresh()
            #expect(try running.published().count == 1)
            running.clock.now = at(.days(30) - .hours(1))
            for _ in 0..<3 { try await running.service.refresh() }
            #expect(try running.published().count == 2)
            #expect(try running.signingKey() == first)
            running.clock.now = at(.days(30))
            #expect(try running.signingKey() != first)
            #expect(running.log.messages.count { $0 == "notice: rotation: made the next key" } == 1)
        }
    }

    @Test("makes one key where several services find it due", arguments: KeyPlace.allCases)
    func severalRotate(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let others = try await [
                Self.start(clock: running.clock, place: running.place),
                Self.start(clock: running.clock, place: running.place),
            ]
            running.clock.now = at(.days(30))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for service in [running] + others { group.addTask { try await service.service.refresh() } }
                try await group.waitForAll()
            }
            #expect(try await running.store().contents().records.count == 2)
        }
    }

    @Test("has the records say its token lifetime before it signs", arguments: KeyPlace.allCases, [60, 600, 3600])
    func lifetime(_ place: KeyPlace, _ seconds: Int64) async throws {
        try await Self.withService(place) { running in
            let schedule = KeySchedule.test { $0.tokenLifetime = .seconds(seconds) }
            let other = try await Self.start(schedule, clock: running.clock, place: running.place)
            let longest = Duration.seconds(max(600, seconds))
            #expect(try other.service.current().signingKey?.longestTokenLifetime(at: running.clock.now) == longest)
            let records = try await running.store().contents().records
            #expect(records.map(\.longestTokenLifetime) == [longest])
        }
    }

    @Test("has the records of others' new keys say it, too", arguments: KeyPlace.allCases)
    func lifetimeOfNewKeys(_ place: KeyPlace) async throws {
        try await Self.withService(place, .test { $0.tokenLifetime = .hours(1) }) { running in
            let second = try await running.store().rotate(immediately: true, at: at(100))
            #expect(second.longestTokenLifetime == .minutes(10))
            running.clock.now = at(100)
            try await running.service.refresh()
            let signing = try #require(try running.service.current().signingKey)
            #expect(signing.keyID == second.keyID)
            #expect(signing.longestTokenLifetime(at: running.clock.now) == .hours(1))
            let records = try await running.store().contents().records
            #expect(records.allSatisfy { $0.longestTokenLifetime == .hours(1) })
        }
    }

    @Test(
        "signs with the earlier key again where the clock was set back before its successor's turn",
        arguments: KeyPlace.allCases)
    func clockSetBack(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let first = try running.signingKey()
            let second = try await running.store().rotate(at: at(100))
            running.clock.now = at(9000)
            try await running.service.refresh()
            #expect(try running.signingKey() == second.keyID)
            running.clock.now = at(3000)
            try await running.service.refresh()
            #expect(try running.signingKey() == first)
            #expect(try running.published().count == 2)
        }
    }

    @Test("records ahead that it signs, and signs no token that would outlive the record", arguments: KeyPlace.allCases)
    func signedUntil(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let lifetime = { try running.service.current().signingKey?.longestTokenLifetime(at: running.clock.now) }
            running.clock.now = at(60)
            #expect(try lifetime() == .minutes(10))
            running.clock.now = at(61)
            #expect(try lifetime() == .minutes(10) - .seconds(1))
            running.clock.now = at(660)
            #expect(try lifetime() == .zero)
            try await running.service.refresh()
            #expect(try lifetime() == .minutes(10))
            let records = try await running.store().contents().records
            #expect(records.map(\.signedUntil) == [at(720)])
        }
    }

    @Test(
        "signs on with the key that took over where the clock was set back and the earlier one was pruned",
        arguments: KeyPlace.allCases)
    func prunedAndSetBack(_ place: KeyPlace) async throws {
        try await Self.withService(place) { running in
            let second = try await running.store().rotate(at: at(100))
            running.clock.now = at(9000)
            try await running.service.refresh()
            let administration = KeyAdministration(
                store: try running.store(), planner: KeyPlanner(schedule: .test), now: { at(9000) })
            _ = try await administration.prune()
            running.clock.now = at(3000)
            try await running.service.refresh()
            #expect(try running.signingKey() == second.keyID)
            #expect(try running.published() == [second.keyID])
        }
    }

    @Test("stops at settings that break a rule", arguments: KeyPlace.allCases, [0, 359])
    func badSettings(_ place: KeyPlace, _ publishAhead: Int64) async throws {
        try await place.empty { place in
            let error = await #expect(throws: KeyServiceError.self) {
                try await Self.start(
                    .test { $0.publishAhead = .seconds(publishAhead) }, clock: TestClock(at(0)), place: place)
            }
            #expect(error?.code == .badSettings)
            let contents = try await place.store(.test("a")).contents()
            #expect(contents.isNew)
        }
    }
}
