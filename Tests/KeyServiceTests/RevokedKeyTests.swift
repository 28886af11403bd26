import JOSE
import Testing

@testable import KeyService

@Suite("A revoked key")
struct RevokedKeyTests {
    @Test(
        "is revoked at every instant, also by a clock that was set back",
        arguments: [-5000, 0, 4999, 5000, 5001, 90_000])
    func always(_ seconds: Int64) throws {
        let revoked = try record(activates: at(0)) { $0.revokedAt = at(5000) }
        let replacement = try record(created: at(5000), activates: at(5000))
        let ring = ring(revoked, replacement)
        #expect(ring.state(of: revoked, at: at(seconds)) == .revoked)
        #expect(!ring.published(at: at(seconds)).contains { $0.keyID == revoked.keyID })
        #expect(ring.active(.es256, at: at(seconds))?.keyID != revoked.keyID)
    }

    @Test("that was active isn't followed by the one before it")
    func noComeback() throws {
        let retired = try record(activates: at(0))
        let revoked = try record(activates: at(5000)) { $0.revokedAt = at(5100) }
        let ring = ring(retired, revoked)
        for second: Int64 in [5000, 5099, 5100, 5101, 9000] {
            #expect(ring.active(.es256, at: at(second)) == nil)
            #expect(ring.state(of: retired, at: at(second)) == (second < 5630 ? .retired : .expired))
        }
    }

    @Test("that never signed doesn't end the one that does", arguments: [4000, 4999, 5000])
    func pending(_ revocation: Int64) throws {
        let active = try record(activates: at(0))
        let revoked = try record(activates: at(5000)) { $0.revokedAt = at(revocation) }
        let ring = ring(active, revoked)
        for second: Int64 in [4999, 5000, 5001, 90_000] {
            #expect(ring.active(.es256, at: at(second))?.keyID == active.keyID)
        }
        #expect(ring.retiresAt(active) == nil)
    }

    @Test("that only verified is no longer published")
    func verifyOnly() throws {
        var foreign = try verifyOnlyRecord(until: at(100))
        foreign.revokedAt = at(10)
        #expect(ring(foreign).state(of: foreign, at: at(0)) == .revoked)
        #expect(ring(foreign).published(at: at(0)).isEmpty)
    }

    // MARK: Revoking

    @Test("that was signing has a replacement, which is stored first and signs at once")
    func replacement() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let changes = try shelf.revoke(first, at: at(5000))
        guard changes.count == 2, case .add(let replacement, .some) = changes[0], case .update(let revoked) = changes[1]
        else {
            Issue.record("another order: \(changes.map(\.keyID))")
            return
        }
        // Also by a clock that is behind.
        #expect(replacement.activatesAt == at(4970))
        #expect(revoked.keyID == first.keyID)
        #expect(revoked.revokedAt == at(5000))
        #expect(revoked.revocationReason == "leaked")
        #expect(shelf.active(at: at(5000)) == replacement.keyID)
        #expect(shelf.ring().published(at: at(5000)).map(\.keyID) == [replacement.keyID])
    }

    @Test("leaves a sound ring where the revocation is killed after its first step")
    func killed() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let planner = KeyPlanner(schedule: .test)
        let changes = try planner.revocation(of: first.keyID, reason: "leaked", shelf.contents, at: at(5000))
        shelf.apply([changes[0]])
        #expect(shelf.active(at: at(5000)) == changes[0].keyID)
        #expect(try shelf.state(of: first, at: at(5000)) == .retired)
        #expect(try shelf.revoke(first, at: at(5001)).map(\.keyID) == [first.keyID])
        #expect(shelf.active(at: at(5001)) == changes[0].keyID)
    }

    @Test("that took over at this very instant is replaced an instant later")
    func sameInstant() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let second = try shelf.rotate(immediately: true, at: at(5000))
        let replacement = try #require(try shelf.revoke(second, at: at(5000)).first?.record)
        #expect(shelf.active(at: at(5000) + .instant) == replacement.keyID)
        #expect(shelf.active(at: at(90_000)) == replacement.keyID)
    }

    @Test("that was retired, or only verified, needs no replacement")
    func others() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let second = try shelf.rotate(immediately: true, at: at(5000))
        let foreign = try verifyOnlyRecord(until: at(90_000))
        shelf.apply([.add(foreign, nil)])
        for record in [first, foreign] {
            #expect(try shelf.revoke(record, at: at(5001)).map(\.keyID) == [record.keyID])
        }
        #expect(shelf.active(at: at(5001)) == second.keyID)
    }

    @Test("that was pending leaves the active one signing")
    func revokingPending() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let second = try shelf.rotate(at: at(5000))
        #expect(try shelf.revoke(second, at: at(5001)).map(\.keyID) == [second.keyID])
        #expect(shelf.active(at: at(.days(1))) == first.keyID)
    }

    @Test("that was the only one to come for its algorithm is replaced by one that verifiers will have seen")
    func onlyPending() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let added = KeySchedule.test { $0.algorithms = [.es256, .es384] }
        let pending = try #require(try shelf.start(added, at: at(1000)).first?.record)
        #expect(pending.algorithm == .es384)
        let early = try #require(try shelf.revoke(pending, added, at: at(1001)).first?.record)
        #expect(early.activatesAt == at(4600) + .instant)
        let late = try #require(try shelf.revoke(early, added, at: at(4599)).first?.record)
        #expect(late.activatesAt == at(4599 + 360))
        #expect(shelf.active(.es384, at: at(4959)) == late.keyID)
    }

    @Test("that was to take over from a removed algorithm is replaced in time for that")
    func pendingAlone() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let other = KeySchedule.test { $0.algorithms = [.es384] }
        let pending = try #require(try shelf.start(other, at: at(1000)).first?.record)
        let replacement = try #require(try shelf.revoke(pending, other, at: at(4599)).first?.record)
        #expect(shelf.active(.es256, at: at(4600)) == nil)
        #expect(shelf.active(.es384, at: at(4600) + .instant) == replacement.keyID)
    }

    @Test("of a removed algorithm has a replacement that ends when it would have")
    func removedAlgorithm() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let other = KeySchedule.test { $0.algorithms = [.es384] }
        try shelf.start(other, at: at(1000))
        let replacement = try #require(try shelf.revoke(first, other, at: at(2000)).first?.record)
        #expect(replacement.retiresAt == at(4600))
        #expect(shelf.active(.es256, at: at(4599)) == replacement.keyID)
        #expect(shelf.active(.es256, at: at(4600)) == nil)
    }

    @Test("stays as it is when it is revoked again")
    func twice() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        try shelf.revoke(first, at: at(5000))
        #expect(try shelf.revoke(first, at: at(6000)).isEmpty)
        #expect(shelf.ring().record(first.keyID)?.revokedAt == at(5000))
    }

    @Test("that nobody knows is refused")
    func unknown() throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        let error = #expect(throws: KeyServiceError.self) { try shelf.revoke(record(activates: at(0)), at: at(1)) }
        #expect(error?.code == .refused)
    }

    @Test("is never replaced by one that verifiers were to see later")
    func beforeAPendingOne() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let second = try shelf.rotate(at: at(5000))
        let replacement = try #require(try shelf.revoke(first, at: at(5001)).first?.record)
        #expect(replacement.keyID != second.keyID)
        #expect(shelf.active(at: at(5001)) == replacement.keyID)
        #expect(shelf.active(at: at(8599)) == replacement.keyID)
        #expect(shelf.active(at: at(8600)) == second.keyID)
    }
}
