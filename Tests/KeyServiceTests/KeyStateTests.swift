import JOSE
import Testing

@testable import KeyService

/// INTERFACE: the table of a key's states, with every boundary at its exact instant.
@Suite("A key's state")
struct KeyStateTests {
    /// One key takes over from another at 10,000 s; tokens live 600 s and clocks differ by 30 s.
    private static let cases: [(Duration, first: KeyState, second: KeyState)] = [
        (.seconds(0) - .instant, .pending, .pending),
        (.seconds(0), .active, .pending),
        (.seconds(10_000) - .instant, .active, .pending),
        (.seconds(10_000), .retired, .active),
        (.seconds(10_630) - .instant, .retired, .active),
        (.seconds(10_630), .expired, .active),
        (.days(3650), .expired, .active),
    ]

    @Test("changes exactly when its time has come", arguments: cases)
    func takeover(_ offset: Duration, _ first: KeyState, _ second: KeyState) throws {
        let older = try record(activates: at(0))
        let younger = try record(activates: at(10_000))
        for ring in [ring(older, younger), ring(younger, older)] {
            #expect(ring.state(of: older, at: at(offset)) == first)
            #expect(ring.state(of: younger, at: at(offset)) == second)
            let published = [older, younger].filter { ring.state(of: $0, at: at(offset)) != .expired }
            #expect(Set(ring.published(at: at(offset)).map(\.keyID)) == Set(published.map(\.keyID)))
            let active = [older, younger].first { ring.state(of: $0, at: at(offset)) == .active }
            #expect(ring.active(.es256, at: at(offset))?.keyID == active?.keyID)
        }
    }

    @Test("is expired only after the longest lifetime of its tokens", arguments: [60, 600, 3600])
    func lifetime(_ seconds: Int64) throws {
        let older = try record(activates: at(0), lifetime: .seconds(seconds))
        let ring = ring(older, try record(activates: at(10_000)))
        let end = at(10_000 + seconds + 30)
        #expect(ring.expiresAt(older) == end)
        #expect(ring.state(of: older, at: end - .instant) == .retired)
        #expect(ring.state(of: older, at: end) == .expired)
    }

    @Test("without an end in sight stays active")
    func noEnd() throws {
        let only = try record(activates: at(0))
        #expect(ring(only).state(of: only, at: at(.days(36_500))) == .active)
        #expect(ring(only).retiresAt(only) == nil)
        #expect(ring(only).expiresAt(only) == nil)
    }

    @Test("is retired for longer after a takeover that servers couldn't know of", arguments: [0, 1, 31, 32, 3600])
    func sudden(_ seconds: Int64) throws {
        let older = try record(activates: at(0))
        let ring = ring(older, try record(created: at(10_000 - seconds), activates: at(10_000)))
        #expect(ring.expiresAt(older) == at(10_630 + (seconds < 32 ? 32 : 0)))
    }

    @Test("leaves time for servers to hear of a change where clocks don't differ")
    func noLeeway() throws {
        let older = try record(activates: at(0))
        let ring = KeyRing([older, try record(activates: at(10_000))], clockLeeway: .zero)
        #expect(ring.expiresAt(older) == at(10_602))
    }

    @Test("of one algorithm has nothing to do with another's")
    func algorithms() throws {
        let first = try record(activates: at(0))
        let other = try record(.es384, activates: at(100))
        #expect(ring(first, other).state(of: first, at: at(.days(1))) == .active)
        #expect(ring(first, other).state(of: other, at: at(.days(1))) == .active)
        #expect(ring(first, other).active(.edDSA, at: at(200)) == nil)
    }

    @Test(
        "ends with its algorithm",
        arguments: [(499, KeyState.active), (500, .retired), (1129, .retired), (1130, .expired)] as [(Int64, KeyState)])
    func removedAlgorithm(_ seconds: Int64, _ state: KeyState) throws {
        let only = try record(activates: at(0)) { $0.retiresAt = at(500) }
        #expect(ring(only).state(of: only, at: at(seconds)) == state)
    }

    @Test(
        "is expired at once where its algorithm ends before its turn",
        arguments: [(499, KeyState.pending), (500, .expired)] as [(Int64, KeyState)])
    func removedBeforeItsTurn(_ seconds: Int64, _ state: KeyState) throws {
        let older = try record(activates: at(0))
        let never = try record(activates: at(1000)) { $0.retiresAt = at(500) }
        #expect(ring(older, never).state(of: never, at: at(seconds)) == state)
        #expect(ring(older, never).state(of: older, at: at(2000)) == .active)
    }

    @Test(
        "of a key that only verifies is retired until its end",
        arguments: [(-1, KeyState.retired), (0, .retired), (99, .retired), (100, .expired)] as [(Int64, KeyState)])
    func verifyOnly(_ seconds: Int64, _ state: KeyState) throws {
        let foreign = try verifyOnlyRecord(until: at(100))
        let own = try record(activates: at(0))
        #expect(ring(foreign, own).state(of: foreign, at: at(seconds)) == state)
        #expect(ring(foreign, own).active(.es256, at: at(seconds))?.keyID == (seconds < 0 ? nil : own.keyID))
        #expect(ring(foreign, own).retiresAt(foreign) == nil)
    }

    @Test("is active for one of those that take over at one instant: the one that was made last")
    func ties() throws {
        let older = try record(activates: at(0))
        let tied = try [at(90), at(91)].map { try record(created: $0, activates: at(100)) }
        for records in [[older] + tied, [tied[1], older, tied[0]]] {
            let ring = KeyRing(records, clockLeeway: .seconds(30))
            #expect(ring.state(of: tied[0], at: at(99)) == .pending)
            #expect(ring.state(of: tied[0], at: at(100)) == .expired)
            #expect(ring.active(.es256, at: at(100))?.keyID == tied[1].keyID)
            #expect(ring.state(of: older, at: at(100)) == .retired)
        }
    }

    @Test("is active for exactly one key at any instant after the first takeover", arguments: 0..<10 as Range<UInt64>)
    func exactlyOne(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let records = try (0..<12).map { _ in
            try record(activates: at(Int64.random(in: 0...20, using: &generator) * 100))
        }
        let ring = KeyRing(records, clockLeeway: .seconds(30))
        let first = records.map { $0.activatesAt! }.min()!
        for second in stride(from: Int64(0), through: 2100, by: 50) {
            let active = records.count { ring.state(of: $0, at: at(second)) == .active }
            #expect(active == (at(second) < first ? 0 : 1))
        }
    }

    @Test("next changes at the first boundary ahead")
    func nextChange() throws {
        let older = try record(activates: at(0))
        let younger = try record(activates: at(10_000))
        let ring = ring(older, younger, try verifyOnlyRecord(until: at(10_300)))
        var instants: [Instant] = []
        while let next = ring.nextChange(after: instants.last ?? at(-1)) { instants.append(next) }
        #expect(instants == [at(0), at(10_000), at(10_300), at(10_630)])
    }

    @Test("never changes between two such boundaries", arguments: 0..<10 as Range<UInt64>)
    func noOtherChange(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let records = try (0..<8).map { _ in
            try record(activates: at(generator.duration(.seconds(0)...(.seconds(5000))))) {
                if Bool.random(using: &generator) {
                    $0.revokedAt = at(generator.duration(.seconds(0)...(.seconds(5000))))
                }
                if Bool.random(using: &generator) {
                    $0.retiresAt = at(generator.duration(.seconds(0)...(.seconds(5000))))
                }
            }
        }
        let ring = KeyRing(records, clockLeeway: .seconds(30))
        func states(_ now: Instant) -> [KeyState] { records.map { ring.state(of: $0, at: now) } }
        var now = at(-100)
        while now < at(6500) {
            let next = ring.nextChange(after: now) ?? at(6500)
            #expect(states(next - .instant) == states(now))
            now = next
        }
    }
}
