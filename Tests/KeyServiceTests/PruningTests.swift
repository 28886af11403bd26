import JOSE
import Testing

@testable import KeyService

@Suite("Pruning")
struct PruningTests {
    private let planner = KeyPlanner(schedule: .test)

    private func prune(_ shelf: inout Shelf, at now: Instant) -> (erased: Set<KeyID>, removed: Set<KeyID>) {
        let changes = shelf.apply(planner.pruning(shelf.contents, at: now))
        var erased: Set<KeyID> = []
        var removed: Set<KeyID> = []
        for change in changes {
            if case .erasePrivateKey = change { erased.insert(change.keyID) }
            if case .remove = change { removed.insert(change.keyID) }
        }
        return (erased, removed)
    }

    @Test("leaves what signs or will")
    func living() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.rotate(at: at(1000))
        #expect(planner.pruning(shelf.contents, at: at(1001)).isEmpty)
    }

    @Test("erases the private half once no clock lets the key sign, and forgets the key once it has expired")
    func retired() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        try shelf.rotate(at: at(1000))
        #expect(planner.pruning(shelf.contents, at: at(4630) - .instant).isEmpty)
        #expect(prune(&shelf, at: at(4630)) == ([first.keyID], []))
        #expect(shelf.ring().record(first.keyID)?.hasPrivateKey == false)
        #expect(try shelf.state(of: first, at: at(4630)) == .retired)
        #expect(planner.pruning(shelf.contents, at: at(5230) - .instant).isEmpty)
        #expect(prune(&shelf, at: at(5230)) == ([], [first.keyID]))
    }

    @Test("erases the private half of a revoked key at once, and keeps the key for ever")
    func revoked() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        try shelf.revoke(first, at: at(1000))
        #expect(prune(&shelf, at: at(1000)) == ([first.keyID], []))
        #expect(planner.pruning(shelf.contents, at: at(.days(5000))).isEmpty)
        #expect(try shelf.state(of: first, at: at(.days(5000))) == .revoked)
    }

    @Test("forgets a key that only verified once its end is past, and one whose turn never came")
    func neverSigned() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let foreign = try verifyOnlyRecord(until: at(5000))
        let never = try record(activates: at(5000)) { $0.retiresAt = at(4000) }
        shelf.apply([.add(foreign, nil), .update(never)])
        #expect(prune(&shelf, at: at(3999)) == ([], []))
        #expect(prune(&shelf, at: at(4000)).removed == [never.keyID])
        #expect(prune(&shelf, at: at(5000)).removed == [foreign.keyID])
    }

    @Test("forgets the whole of a removed algorithm")
    func removedAlgorithm() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.rotate(at: at(1000))
        let other = KeySchedule.test { $0.algorithms = [.es384] }
        try shelf.start(other, at: at(9000))
        #expect(prune(&shelf, at: at(.days(1))).removed.count == 2)
        #expect(shelf.records.map(\.algorithm) == [.es384])
    }

    @Test("keeps an expired key while one before it is published, whose end it marks")
    func lifetimes() throws {
        var shelf = Shelf()
        let long = KeySchedule.test { $0.tokenLifetime = .hours(1) }
        let first = try #require(try shelf.start(long, at: at(0)).first?.record)
        let second = try shelf.rotate(immediately: true, at: at(5000))
        try shelf.rotate(immediately: true, at: at(5100))
        let end = try #require(shelf.ring().expiresAt(first))
        #expect(try shelf.state(of: second, at: end - .instant) == .expired)
        #expect(prune(&shelf, at: end - .instant).removed.isEmpty)
        #expect(shelf.ring().expiresAt(first) == end)
        #expect(prune(&shelf, at: end).removed == [first.keyID, second.keyID])
    }

    @Test("never brings an older key back", arguments: 0..<20 as Range<UInt64>)
    func noComeback(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var shelf = Shelf()
        try shelf.start(at: at(0))
        var now = at(0)
        for _ in 0..<30 {
            now = now + generator.duration(.seconds(1)...(.hours(1)))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: try shelf.rotate(at: now)
            case 1: try shelf.rotate(immediately: true, at: now)
            case 2: try shelf.revoke(#require(shelf.records.randomElement(using: &generator)), at: now)
            default: break
            }
            let changes = planner.pruning(shelf.contents, at: now)
            // A kill may come after any step.
            for count in 0...changes.count {
                var pruned = shelf
                pruned.apply(Array(changes.prefix(count)))
                for later in [now, now + .minutes(5), now + .hours(2), now + .days(9)] {
                    for record in shelf.records where shelf.ring().state(of: record, at: later) != .expired {
                        #expect(try pruned.state(of: record, at: later) == shelf.state(of: record, at: later))
                    }
                    #expect(pruned.active(at: later) == shelf.active(at: later))
                    #expect(pruned.ring().published(at: later).count == shelf.ring().published(at: later).count)
                }
            }
            shelf.apply(changes)
        }
    }
}
