import JOSE
import Testing

@testable import KeyService

@Suite("A rotation")
struct RotationTests {
    @Test("publishes the next key ahead of its turn")
    func publishAhead() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let second = try shelf.rotate(at: at(1000))
        #expect(Set(shelf.ring().published(at: at(1000)).map(\.keyID)) == [first.keyID, second.keyID])
        #expect(shelf.active(at: at(4600) - .instant) == first.keyID)
        #expect(shelf.active(at: at(4600)) == second.keyID)
    }

    @Test("that is immediate signs with the next key at once")
    func immediately() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let second = try shelf.rotate(immediately: true, at: at(1000))
        #expect(shelf.active(at: at(1000)) == second.keyID)
        #expect(try shelf.state(of: first, at: at(1000)) == .retired)
    }

    @Test("over an empty store signs at once")
    func new() throws {
        var shelf = Shelf()
        let first = try shelf.rotate(at: at(0))
        #expect(shelf.active(at: at(0)) == first.keyID)
    }

    @Test("is of every algorithm, or of the named one")
    func algorithms() throws {
        let schedule = KeySchedule.test { $0.algorithms = [.es256, .es384] }
        var shelf = Shelf()
        try shelf.start(schedule, at: at(0))
        let planner = KeyPlanner(schedule: schedule)
        let all = try planner.rotation(of: nil, immediately: false, shelf.contents, at: at(1))
        #expect(all.map(\.record?.algorithm) == [.es256, .es384])
        let named = try planner.rotation(of: .es384, immediately: false, shelf.contents, at: at(1))
        #expect(named.map(\.record?.algorithm) == [.es384])
    }

    @Test("of an algorithm that isn't set is refused", arguments: [Algorithm.rs256, .edDSA])
    func unknown(_ algorithm: Algorithm) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let contents = shelf.contents
        let error = #expect(throws: KeyServiceError.self) {
            try KeyPlanner(schedule: .test).rotation(of: algorithm, immediately: true, contents, at: at(1))
        }
        #expect(error?.code == .refused)
    }

    @Test("beside another one is well ordered", arguments: [true, false], [0, 1, 3599])
    func two(_ immediately: Bool, _ seconds: Int64) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let second = try shelf.rotate(immediately: immediately, at: at(5000))
        let third = try shelf.rotate(immediately: immediately, at: at(5000 + seconds))
        let turn = try #require(second.activatesAt)
        let nextTurn = try #require(third.activatesAt)
        #expect(turn < nextTurn)
        #expect(shelf.active(at: turn) == second.keyID)
        #expect(shelf.active(at: nextTurn) == third.keyID)
        #expect(shelf.active(at: at(.days(1))) == third.keyID)
    }

    @Test("that is immediate doesn't cancel the one that is under way")
    func immediatelyBeforePending() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let pending = try shelf.rotate(at: at(1000))
        let immediate = try shelf.rotate(immediately: true, at: at(2000))
        #expect(shelf.active(at: at(2000)) == immediate.keyID)
        #expect(shelf.active(at: at(4600)) == pending.keyID)
    }

    @Test("after the clock was set back leaves one key signing at any instant", arguments: [true, false])
    func clockSetBack(_ immediately: Bool) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let second = try shelf.rotate(immediately: true, at: at(10_000))
        let third = try shelf.rotate(immediately: immediately, at: at(8000))
        let turns = [second, third].compactMap(\.activatesAt)
        #expect(Set(turns).count == 2)
        for second in stride(from: Int64(0), through: 20_000, by: 100) {
            let states = shelf.records.map { shelf.ring().state(of: $0, at: at(second)) }
            #expect(states.count { $0 == .active } == 1)
        }
        #expect(shelf.active(at: turns.max()!) == (third.activatesAt! > second.activatesAt! ? third : second).keyID)
    }

    @Test("outlives the tokens of the key before it", arguments: [true, false], [60, 600, 3600])
    func tokensOutlived(_ immediately: Bool, _ lifetime: Int64) throws {
        let schedule = KeySchedule.test { $0.tokenLifetime = .seconds(lifetime) }
        var shelf = Shelf()
        let first = try #require(try shelf.start(schedule, at: at(0)).first?.record)
        let second = try shelf.rotate(schedule, immediately: immediately, at: at(5000))
        let expiry = try #require(shelf.ring(schedule).expiresAt(first))
        #expect(expiry >= second.activatesAt! + .seconds(lifetime + 30))
        #expect(shelf.ring(schedule).published(at: expiry - .instant).contains { $0.keyID == first.keyID })
    }
}

@Suite("The automatic rotation")
struct AutomaticRotationTests {
    @Test("makes each key publish-ahead before the last one is rotate-every old, and only then", arguments: [1, 30])
    func schedule(_ days: Int64) throws {
        let schedule = KeySchedule.test { $0.rotateEvery = .days(days) }
        var shelf = Shelf()
        let first = try shelf.start(schedule, at: at(30))
        #expect(first.map(\.record?.activatesAt) == [at(0)])
        for turn in 1...5 as ClosedRange<Int64> {
            let due = at(.days(days * turn) - .hours(1))
            #expect(try shelf.automaticRotation(schedule, at: due - .instant).isEmpty)
            #expect(!KeyPlanner(schedule: schedule).isRotationDue(shelf.records, at: due - .instant))
            #expect(KeyPlanner(schedule: schedule).isRotationDue(shelf.records, at: due))
            let made = try shelf.automaticRotation(schedule, at: due)
            #expect(made.map(\.activatesAt) == [at(.days(days * turn))])
            #expect(try shelf.automaticRotation(schedule, at: due + .instant).isEmpty)
        }
    }

    @Test("is of every algorithm, each by its own age")
    func algorithms() throws {
        let schedule = KeySchedule.test { $0.algorithms = [.es256, .es384] }
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.start(schedule, at: at(.days(10)))
        #expect(try shelf.automaticRotation(schedule, at: at(.days(30))).map(\.algorithm) == [.es256])
        #expect(try shelf.automaticRotation(schedule, at: at(.days(40))).map(\.algorithm) == [.es384])
    }

    @Test("of a server that was down for months publishes one key, ahead as ever")
    func down() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let made = try shelf.automaticRotation(at: at(.days(200)))
        #expect(made.map(\.activatesAt) == [at(.days(200) + .hours(1))])
        #expect(shelf.active(at: at(.days(200))) == first.keyID)
        #expect(try shelf.automaticRotation(at: at(.days(200))).isEmpty)
        #expect(try shelf.automaticRotation(at: at(.days(200) - .minutes(30))).isEmpty)
    }

    @Test("isn't put off by a key that takes over later", arguments: [35, 59, 61, 5000])
    func farFuture(_ days: Int64) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        shelf.apply([.add(try record(activates: at(.days(days))), nil)])
        #expect(try shelf.automaticRotation(at: at(.days(30) - .hours(1))).map(\.activatesAt) == [at(.days(30))])
        #expect(try shelf.automaticRotation(at: at(.days(30))).isEmpty)
    }

    @Test("counts from the key that an operator made")
    func afterAnother() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.rotate(at: at(.days(20)))
        #expect(try shelf.automaticRotation(at: at(.days(30))).isEmpty)
        let made = try shelf.automaticRotation(at: at(.days(50)))
        #expect(made.map(\.activatesAt) == [at(.days(50) + .hours(1))])
    }

    @Test("is off where rotate-every is zero")
    func off() throws {
        let schedule = KeySchedule.test { $0.rotateEvery = .zero }
        var shelf = Shelf()
        try shelf.start(schedule, at: at(0))
        #expect(!KeyPlanner(schedule: schedule).isRotationDue(shelf.records, at: at(.days(5000))))
        #expect(try shelf.automaticRotation(schedule, at: at(.days(5000))).isEmpty)
    }

    @Test("does nothing for an empty store, or an algorithm without a key")
    func empty() throws {
        var shelf = Shelf()
        #expect(try shelf.automaticRotation(at: at(0)).isEmpty)
        try shelf.start(at: at(0))
        #expect(try shelf.automaticRotation(.test { $0.algorithms = [.es384] }, at: at(.days(90))).isEmpty)
    }
}
