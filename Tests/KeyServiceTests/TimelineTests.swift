import JOSE
import Testing

@testable import KeyService

@Suite("A year of automatic rotations")
struct TimelineTests {
    /// Settings as operators change them; each `publish-ahead` outlasts every `jwks-max-age`.
    private static func anySchedule(
        rotateEvery: Duration, _ generator: inout SeededGenerator
    ) -> KeySchedule {
        let algorithms: [Algorithm] = [.es256, .es384, .edDSA].shuffled(using: &generator)
        return KeySchedule(
            algorithms: Array(algorithms.prefix(Int.random(in: 1...3, using: &generator))),
            rotateEvery: rotateEvery,
            publishAhead: [.hours(2), .hours(3)].randomElement(using: &generator)!,
            jwksMaxAge: [.minutes(1), .minutes(5), .minutes(110)].randomElement(using: &generator)!,
            tokenLifetime: [.minutes(1), .minutes(10), .hours(1)].randomElement(using: &generator)!,
            clockLeeway: Timeline.leeway)
    }

    /// A year of three nodes that are restarted with other settings now and then, one after another.
    private static func year(
        seed: UInt64, rotateEvery: Duration, setBack: Bool = false, clockErrors: [(at: Instant, by: Duration)] = [],
        operate: (inout Timeline, Instant) throws -> Void = { _, _ in }
    ) throws -> Timeline {
        var timeline = Timeline(seed: seed)
        timeline.setBacks = clockErrors.map { ($0.at, $0.by) }
        var schedule = anySchedule(rotateEvery: rotateEvery, &timeline.generator)
        for node in 0..<3 { try timeline.start(node, schedule, at: at(Int64(node))) }
        let restarts: Int64 = 6
        var restart = at(.days(20))
        var pending: [(node: Int, Instant)] = []
        var time = at(10)
        while time < at(.days(365)) {
            try timeline.poll(at: time)
            timeline.issue(at: time)
            try operate(&timeline, time)
            timeline.issue(at: time + timeline.generator.duration(.zero...KeyRing.propagation))
            if time >= restart {
                restart = time + .days(365 / restarts)
                schedule = anySchedule(rotateEvery: rotateEvery, &timeline.generator)
                pending = (0..<3).map { ($0, time + timeline.generator.duration(.seconds(1)...(.hours(4)))) }
            }
            if setBack, timeline.setBacks.isEmpty, time > at(.days(100)) {
                // Far from any takeover: by a clock set back beyond one, the key before it signs again.
                let now = timeline.reading(.zero, at: time)
                let changes = timeline.shelf.records.compactMap(\.activatesAt)
                if changes.allSatisfy({ $0 < now - .hours(3) || $0 > now + .hours(1) }), pending.isEmpty {
                    timeline.setBacks = [(time, .hours(1))]
                }
            }
            var next = timeline.next(after: time, atMost: rotateEvery / 8)
            if let error = clockErrors.first(where: { $0.at > time && $0.at < next + .minutes(1) }) {
                next = max(time + .seconds(1), error.at - .seconds(1))
                if next == time + .seconds(1) { next = error.at + timeline.generator.duration(.zero...(.minutes(5))) }
            }
            for (node, instant) in pending where instant <= next {
                try timeline.start(node, schedule, at: max(time, instant))
                timeline.issue(at: max(time, instant))
            }
            pending.removeAll { $0.1 <= next }
            time = next
        }
        return timeline
    }

    /// Checks that a verifier has a token's key at some instants of the token's life, whatever it fetched when and where.
    private static func checkVerifiers(_ timeline: inout Timeline, at now: Instant, _ token: Timeline.Token) -> Int {
        var fetches = 0
        for time in [token.issuedAt, timeline.lastInstant(of: token)] {
            let age = timeline.fetch(at: time)?.maxAge ?? .zero
            for fetchedAt in [time, time - age, time - timeline.generator.duration(.zero...age)] where fetchedAt > now {
                guard let copy = timeline.fetch(at: fetchedAt), time - fetchedAt <= copy.maxAge else { continue }
                fetches += 1
                if !copy.keyIDs.contains(token.keyID) {
                    Issue.record(
                        "a token of \(token.issuedAt) names a key that a JWKS fetched at \(fetchedAt) for \(time) lacks"
                    )
                }
            }
        }
        return fetches
    }

    @Test(
        "leaves no verifier without the key of any token, from its issue to its expiry",
        arguments: [(1, 0), (30, 0), (30, 1), (30, 2), (30, 3)] as [(Int64, UInt64)])
    func verifiers(_ days: Int64, _ seed: UInt64) throws {
        var timeline = try Self.year(seed: seed, rotateEvery: .days(days))
        let keys = Set(timeline.states.flatMap { $0.records.map(\.keyID) })
        #expect(keys.count > 360 / days)
        var fetches = 0
        for token in timeline.tokens where token.issuedAt < at(.days(364)) {
            fetches += Self.checkVerifiers(&timeline, at: at(5), token)
        }
        #expect(fetches > timeline.tokens.count)
        Self.checkExpiries(timeline)
    }

    @Test("leaves none without a key after the clock was set back by an hour", arguments: 0..<4 as Range<UInt64>)
    func setBack(_ seed: UInt64) throws {
        var timeline = try Self.year(seed: seed, rotateEvery: .days(7), setBack: true)
        let (instant, _) = try #require(timeline.setBacks.first)
        for token in timeline.tokens where token.issuedAt < at(.days(364)) {
            // A token from before it lives an hour longer; its end is checked below.
            if token.issuedAt > instant || token.issuedAt < instant - .hours(2) {
                _ = Self.checkVerifiers(&timeline, at: at(5), token)
            }
        }
        Self.checkExpiries(timeline)
    }

    @Test(
        "publishes a key until its last token has expired, whatever operators do meanwhile",
        arguments: 0..<4 as Range<UInt64>)
    func operators(_ seed: UInt64) throws {
        var timeline = try Self.year(seed: seed, rotateEvery: .days(7)) { timeline, time in
            let planner = KeyPlanner(
                schedule: timeline.nodes.randomElement(using: &timeline.generator)!.schedule(at: time)!)
            let now = timeline.reading(timeline.anyOffset(), at: time)
            let contents = timeline.shelf.contents
            let changes =
                switch Int.random(in: 0..<40, using: &timeline.generator) {
                case 0: try? planner.rotation(of: nil, immediately: false, contents, at: now)
                case 1, 2: try? planner.rotation(of: nil, immediately: true, contents, at: now)
                case 3:
                    try planner.revocation(
                        of: timeline.shelf.records.randomElement(using: &timeline.generator)!.keyID, reason: "",
                        contents, at: now)
                case 4:
                    try [
                        planner.importing(
                            JWK(.generate(for: planner.schedule.algorithms[0])),
                            activateAt: now + timeline.generator.duration(.hours(3)...(.days(20))), contents, at: now)
                    ]
                case 5: planner.pruning(contents, at: now)
                default: [] as [KeyChange]?
                }
            timeline.change(at: time, changes ?? [])
        }
        Self.checkExpiries(timeline)
        // A verifier that fetches anew, as for a key that it doesn't know, finds the key to the end.
        let revoked = Set(timeline.states.last!.records.filter { $0.revokedAt != nil }.map(\.keyID))
        for token in timeline.tokens where !revoked.contains(token.keyID) && token.issuedAt < at(.days(364)) {
            let end = timeline.lastInstant(of: token)
            for _ in 0..<3 where timeline.fetch(at: end)?.keyIDs.contains(token.keyID) == false {
                Issue.record("a token of \(token.issuedAt) lives until \(end), but its key isn't published any more")
            }
        }
    }

    @Test(
        "publishes a key until its last token has expired, though clocks ran ahead for a while and operators meddled",
        arguments: 0..<4 as Range<UInt64>)
    func clocksAhead(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let errors = (Int64(1)...11).flatMap { month in
            let begin = at(.days(30 * month)) + generator.duration(.zero...(.days(20)))
            let error = generator.duration(
                .seconds(31)...[.minutes(2), .hours(2), .days(9)].randomElement(using: &generator)!)
            let end =
                begin + generator.duration(.seconds(2)...[.minutes(5), .days(9)].randomElement(using: &generator)!)
            return [(at: begin, by: .zero - error), (at: end, by: error)]
        }
        let timeline = try Self.year(seed: seed, rotateEvery: .days(7), clockErrors: errors) { timeline, time in
            let planner = KeyPlanner(
                schedule: timeline.nodes.randomElement(using: &timeline.generator)!.schedule(at: time)!)
            let now = timeline.reading(timeline.anyOffset(), at: time)
            // Mostly soon after a clock was put right.
            let isSoon = timeline.setBacks.contains { $0.0 <= time && time < $0.0 + .hours(1) }
            guard Int.random(in: 0..<(isSoon ? 4 : 40), using: &timeline.generator) == 0 else { return }
            timeline.change(
                at: time, try planner.rotation(of: nil, immediately: true, timeline.shelf.contents, at: now))
        }
        Self.checkExpiries(timeline)
    }

    /// Checks of every token that no ring, from its issue on, lets its key go before it expires.
    private static func checkExpiries(_ timeline: Timeline) {
        // By walking back, the earliest end of each key that any later state tells.
        var earliest: [KeyID: Instant] = [:]
        var tokens = timeline.tokens
        for (index, state) in timeline.states.enumerated().reversed() {
            for record in state.records {
                let end = state.ring.expiresAt(record)
                if record.revokedAt != nil {
                    earliest[record.keyID] = Instant(microseconds: .max)
                } else if let end {
                    earliest[record.keyID] = min(earliest[record.keyID] ?? end, end)
                }
            }
            while let token = tokens.last, token.stateIndex == index {
                tokens.removeLast()
                guard let end = earliest[token.keyID] else { continue }
                if end < token.expiresAt {
                    Issue.record("a token lives until \(token.expiresAt), but its key leaves the JWKS at \(end)")
                }
            }
        }
        #expect(tokens.isEmpty)
    }
}
