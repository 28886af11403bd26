import JOSE
import Testing

@testable import KeyService

@Suite("A server that starts")
struct StartTests {
    private static let both = KeySchedule.test { $0.algorithms = [.es256, .es384] }
    private static let other = KeySchedule.test { $0.algorithms = [.es384] }

    @Test("for the first time makes a key for each algorithm, which signs at once")
    func first() throws {
        var shelf = Shelf()
        let made = try shelf.start(Self.both, at: at(0)).compactMap(\.record)
        #expect(made.map(\.algorithm) == [.es256, .es384])
        for record in made {
            // Also by a clock that is behind.
            for second: Int64 in [-30, 0] { #expect(shelf.active(record.algorithm, at: at(second)) == record.keyID) }
        }
    }

    @Test("changes nothing the next time", arguments: [0, 1, 3600, 86_400, 86_400 * 365])
    func second(_ seconds: Int64) throws {
        var shelf = Shelf()
        try shelf.start(Self.both, at: at(0))
        #expect(try shelf.start(Self.both, at: at(seconds)).isEmpty)
    }

    @Test("with a clock that is behind another server's changes nothing", arguments: [-1, -30, -60])
    func behind(_ seconds: Int64) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        #expect(try shelf.start(at: at(seconds)).isEmpty)
    }

    @Test("makes keys of the size that is set")
    func rsaBits() throws {
        let planner = KeyPlanner(
            schedule: .test {
                $0.algorithms = [.rs256]
                $0.rsaBits = 3072
            },
            makeKey: { algorithm, bits in
                #expect(algorithm == .rs256)
                #expect(bits == 3072)
                return try .generate(for: .es256)
            })
        #expect(try planner.start(Shelf().contents, at: at(0)).count == 1)
    }

    @Test("lets a key for an added algorithm wait until verifiers have seen it")
    func added() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        let made = try shelf.start(Self.both, at: at(1000)).compactMap(\.record)
        #expect(made.map(\.algorithm) == [.es384])
        #expect(made[0].activatesAt == at(4600))
        #expect(shelf.active(.es384, at: at(4599)) == nil)
        #expect(shelf.active(.es384, at: at(4600)) == made[0].keyID)
        #expect(shelf.active(at: at(4600)) == first.keyID)
        #expect(try shelf.start(Self.both, at: at(1001)).isEmpty)
    }

    @Test("retires the key of a removed algorithm as soon as every server has heard of it")
    func removed() throws {
        var shelf = Shelf()
        let kept = try #require(try shelf.start(Self.both, at: at(0)).last?.record)
        let changed = try shelf.start(Self.other, at: at(1000)).compactMap(\.record)
        #expect(changed.map(\.algorithm) == [.es256])
        #expect(changed[0].retiresAt == at(1032))
        #expect(try shelf.state(of: changed[0], at: at(1031)) == .active)
        #expect(try shelf.state(of: changed[0], at: at(1032)) == .retired)
        #expect(shelf.active(.es384, at: at(1000)) == kept.keyID)
        #expect(try shelf.start(Self.other, at: at(1001)).isEmpty)
    }

    @Test("lets the replaced algorithm sign until the new one does")
    func replaced() throws {
        var shelf = Shelf()
        let old = try #require(try shelf.start(at: at(0)).first?.record)
        let new = try #require(try shelf.start(Self.other, at: at(1000)).first?.record)
        #expect(shelf.active(at: at(4599)) == old.keyID)
        #expect(shelf.active(.es384, at: at(4599)) == nil)
        #expect(shelf.active(at: at(4600)) == nil)
        #expect(shelf.active(.es384, at: at(4600)) == new.keyID)
        #expect(try shelf.start(Self.other, at: at(9000)).isEmpty)
    }

    @Test("with an algorithm back that was about to go makes a key that goes on", arguments: [1001, 4599])
    func regretted(_ seconds: Int64) throws {
        var shelf = Shelf()
        try shelf.start(at: at(0))
        try shelf.start(Self.other, at: at(1000))
        let next = try #require(try shelf.start(at: at(seconds)).first?.record)
        #expect(next.algorithm == .es256)
        #expect(shelf.active(at: at(seconds + 3600)) == next.keyID)
        for second in stride(from: seconds, through: seconds + 8000, by: 7) {
            #expect([.es256, .es384].contains { shelf.active($0, at: at(second)) != nil })
        }
        #expect(shelf.active(.es384, at: at(seconds + 3600)) == nil)
    }

    @Test("with an algorithm back that had gone lets its new key wait")
    func returned() throws {
        var shelf = Shelf()
        let old = try #require(try shelf.start(Self.both, at: at(0)).first?.record)
        try shelf.start(Self.other, at: at(1000))
        let new = try #require(try shelf.start(Self.both, at: at(9000)).first?.record)
        #expect(new.keyID != old.keyID)
        #expect(shelf.active(at: at(12_599)) == nil)
        #expect(shelf.active(at: at(12_600)) == new.keyID)
    }

    @Test("finishes a first start that was interrupted, with keys that sign at once")
    func interrupted() throws {
        var shelf = Shelf()
        let changes = try KeyPlanner(schedule: Self.both).start(shelf.contents, at: at(0))
        shelf.contents = KeyStoreContents(records: [KeyRecord]().applying([changes[0]]), isNew: true)
        let made = try shelf.start(Self.both, at: at(60)).compactMap(\.record)
        #expect(made.map(\.algorithm) == [.es384])
        #expect(shelf.active(at: at(60)) == changes[0].keyID)
        #expect(shelf.active(.es384, at: at(60)) == made[0].keyID)
    }

    @Test("after an import only, makes keys that sign at once")
    func afterAnImport() throws {
        var shelf = Shelf()
        let planner = KeyPlanner(schedule: Self.both)
        let foreign = try PrivateKey.generate(for: .es256)
        shelf.apply([
            try planner.importingVerifyOnly(
                JWK(foreign.publicKey), keyID: nil, until: at(.days(9)), shelf.contents, at: at(0))
        ])
        let own = try planner.importing(
            JWK(PrivateKey.generate(for: .es256)), activateAt: nil, shelf.contents, at: at(0))
        shelf.apply([own])
        let made = try shelf.start(Self.both, at: at(60)).compactMap(\.record)
        #expect(made.map(\.algorithm) == [.es256, .es384])
        for record in made { #expect(shelf.active(record.algorithm, at: at(60)) == record.keyID) }
        #expect(shelf.active(at: at(3600)) == own.keyID)
        #expect(try shelf.start(Self.both, at: at(61)).isEmpty)
    }

    @Test("after a first start by a clock that was far ahead makes keys that sign at once")
    func clockWasAhead() throws {
        var shelf = Shelf()
        try shelf.start(at: at(.days(1000)))
        let made = try #require(try shelf.start(at: at(0)).first?.record)
        #expect(shelf.active(at: at(0)) == made.keyID)
    }

    @Test("replaces a key whose private half is gone")
    func erased() throws {
        var shelf = Shelf()
        let first = try #require(try shelf.start(at: at(0)).first?.record)
        shelf.apply([.erasePrivateKey(first)])
        let next = try #require(try shelf.start(at: at(1000)).first?.record)
        #expect(next.activatesAt == at(4600))
        #expect(try shelf.start(at: at(1001)).isEmpty)
    }
}
