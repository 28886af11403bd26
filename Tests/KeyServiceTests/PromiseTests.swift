import JOSE
import Testing

@testable import KeyService

/// What verifiers were told once holds, also when the settings change.
@Suite("A promise to verifiers")
struct PromiseTests {
    @Test("of a longer token lifetime is written down before anything is signed")
    func lifetime() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let pending = try shelf.rotate(at: at(100))
        let changed = try shelf.start(.test { $0.tokenLifetime = .hours(1) }, at: at(1000)).compactMap(\.record)
        #expect(changed.count == 2)
        #expect(changed.allSatisfy { $0.longestTokenLifetime == .hours(1) })
        let first = try #require(shelf.records.first { $0.keyID != pending.keyID })
        #expect(shelf.ring().expiresAt(first) == at(3700 + 3600 + 30))
    }

    @Test("of a token lifetime isn't taken back by a shorter one")
    func shorterLifetime() throws {
        var shelf = Shelf()
        try shelf.start(.test { $0.tokenLifetime = .hours(1) }, at: at(0))
        let shorter = KeySchedule.test { $0.tokenLifetime = .minutes(1) }
        #expect(try shelf.start(shorter, at: at(1000)).isEmpty)
        #expect(shelf.records.map(\.longestTokenLifetime) == [.hours(1)])
        #expect(try shelf.rotate(shorter, at: at(1000)).longestTokenLifetime == .minutes(1))
    }

    @Test("of when a key signs last is raised ahead of the clock, and never past its end")
    func signedUntil() throws {
        var shelf = Shelf()
        let planner = KeyPlanner(schedule: .test)
        try shelf.start(at: at(0))
        shelf.apply(planner.upkeep(shelf.records, at: at(0)))
        #expect(shelf.records[0].signedUntil == at(60))
        #expect(planner.upkeep(shelf.records, at: at(30)).isEmpty)
        shelf.apply(planner.upkeep(shelf.records, at: at(31)))
        #expect(shelf.records[0].signedUntil == at(91))
        let successor = try shelf.rotate(at: at(200))
        shelf.apply(planner.upkeep(shelf.records, at: at(3800 - 50)))
        #expect(shelf.records.first { $0.keyID != successor.keyID }?.signedUntil == at(3800))
        #expect(shelf.records.first { $0.keyID == successor.keyID }?.signedUntil == at(3810))
    }

    @Test("of a clock that ran ahead for a while keeps the key in the JWKS until its tokens have expired")
    func clockAhead() throws {
        var shelf = Shelf()
        let planner = KeyPlanner(schedule: .test)
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        shelf.apply(planner.upkeep(shelf.records, at: at(.days(3))))
        try shelf.rotate(immediately: true, at: at(1000))
        #expect(try shelf.state(of: first, at: at(.days(3) + .minutes(11) + .seconds(29))) == .retired)
        #expect(try shelf.state(of: first, at: at(.days(3) + .minutes(11) + .seconds(30))) == .expired)
    }

    @Test("isn't made anew for keys that sign no more")
    func retired() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        try shelf.rotate(immediately: true, at: at(1000))
        let changed = try shelf.start(.test { $0.tokenLifetime = .hours(1) }, at: at(1001)).map(\.keyID)
        #expect(!changed.contains(first.keyID))
    }

    @Test("to keep a JWKS for long is written into every published key")
    func maxAge() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.rotate(immediately: true, at: at(1000))
        shelf.apply([.add(try verifyOnlyRecord(until: at(90_000)), nil)])
        let longer = KeySchedule.test { $0.jwksMaxAge = .minutes(30) }
        #expect(try shelf.start(longer, at: at(1001)).count == 3)
        #expect(shelf.records.allSatisfy { $0.longestMaxAge == .minutes(30) })
        #expect(try shelf.start(longer, at: at(1002)).isEmpty)
        #expect(try shelf.start(at: at(1003)).isEmpty)
        #expect(shelf.records.allSatisfy { $0.longestMaxAge == .minutes(30) })
    }

    @Test(
        "is kept only by publishing ahead of it and of both clocks' leeway",
        arguments: [(359, false), (360, true), (3600, true)] as [(Int64, Bool)])
    func publishAhead(_ seconds: Int64, _ isEnough: Bool) throws {
        let schedule = KeySchedule.test { $0.publishAhead = .seconds(seconds) }
        var shelf = Shelf()
        let error = isEnough ? nil : KeyServiceError.Code.badSettings
        #expect(throwing { try schedule.check(against: []) } == error)
        #expect(throwing { try shelf.start(schedule, at: at(0)) } == error)
        #expect(throwing { try shelf.rotate(schedule, at: at(0)) } == error)
    }

    @Test("to keep a JWKS for long binds publish-ahead, also after the setting shrank")
    func longestMaxAge() throws {
        var shelf = Shelf()
        let long = KeySchedule.test {
            $0.jwksMaxAge = .hours(2)
            $0.publishAhead = .hours(3)
        }
        try shelf.start(long, at: at(0))
        #expect(throwing { try shelf.start(at: at(1000)) } == .badSettings)
        #expect(throwing { try shelf.rotate(at: at(1000)) } == .badSettings)
        let enough = KeySchedule.test { $0.publishAhead = .hours(2) + .minutes(1) }
        #expect(throwing { try shelf.start(enough, at: at(1000)) } == nil)
    }

    @Test("by another node binds the automatic rotation of one that started before it")
    func otherNode() throws {
        var shelf = Shelf()
        try shelf.start(at: at(30))
        try shelf.start(
            .test {
                $0.jwksMaxAge = .hours(5)
                $0.publishAhead = .hours(6)
            }, at: at(1000))
        let due = at(.days(30) - .hours(5) - .minutes(1))
        #expect(try shelf.automaticRotation(at: due - .instant).isEmpty)
        #expect(try shelf.automaticRotation(at: due).map(\.activatesAt) == [at(.days(30))])
    }

    @Test(
        "leaves the automatic rotation no shorter time than publish-ahead",
        arguments: [(0, true), (1, false), (3599, false), (3600, true)] as [(Int64, Bool)])
    func rotateEvery(_ seconds: Int64, _ isAllowed: Bool) throws {
        let schedule = KeySchedule.test { $0.rotateEvery = .seconds(seconds) }
        #expect(throwing { try schedule.check(against: []) } == (isAllowed ? nil : .badSettings))
    }
}

/// The code of the error that a call throws.
private func throwing(_ body: () throws -> Any) -> KeyServiceError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? KeyServiceError)?.code
    }
}
