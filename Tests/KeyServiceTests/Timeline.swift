import JOSE
import Testing

@testable import KeyService

/// A simulated service over a long time: nodes whose clocks differ share one store, sign tokens and publish what they
/// know of the keys. Everything that happened is kept, so that afterwards any verifier can be imagined.
///
/// Instants without a clock are true time; what a node or a verifier reads is its clock's offset later.
struct Timeline {
    /// What the store held from an instant on.
    struct State {
        let since: Instant
        let records: [KeyRecord]
        let ring: KeyRing
    }

    struct Node {
        /// What its clock reads beyond true time: 0 to the leeway.
        var offset: Duration
        /// Its settings, each from an instant on.
        var settings: [(since: Instant, schedule: KeySchedule)]
        /// When it changed the store last: it knows of that at once.
        var ownChange: Instant

        func schedule(at time: Instant) -> KeySchedule? { settings.last { $0.since <= time }?.schedule }
    }

    struct Token {
        let keyID: KeyID
        let issuedAt: Instant
        /// What a clock reads when it has expired.
        let expiresAt: Instant
        /// The states of the store from then on.
        let stateIndex: Int
    }

    static let leeway = Duration.seconds(30)

    var generator: SeededGenerator
    private(set) var shelf = Shelf()
    private(set) var states: [State] = []
    private(set) var nodes: [Node] = []
    private(set) var tokens: [Token] = []
    /// Instants at which every clock is set back, and how far; ahead where that is negative.
    var setBacks: [(Instant, Duration)] = []

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    // MARK: Clocks

    func reading(_ offset: Duration, at time: Instant) -> Instant {
        setBacks.reduce(time + offset) { $1.0 <= time ? $0 - $1.1 : $0 }
    }

    /// How far a clock is ahead; often the extremes.
    mutating func anyOffset() -> Duration {
        [.zero, Self.leeway, generator.duration(.zero...Self.leeway)].randomElement(using: &generator)!
    }

    // MARK: The service

    /// Changes the store by a plan.
    mutating func change(at time: Instant, _ changes: [KeyChange]) {
        guard !changes.isEmpty || states.isEmpty else { return }
        shelf.apply(changes)
        states.append(
            State(since: time, records: shelf.records, ring: KeyRing(shelf.records, clockLeeway: Self.leeway)))
    }

    /// Starts a node, or starts it again with other settings.
    mutating func start(_ index: Int, _ schedule: KeySchedule, at time: Instant) throws {
        if index == nodes.count { nodes.append(Node(offset: anyOffset(), settings: [], ownChange: time)) }
        let now = reading(nodes[index].offset, at: time)
        let planner = KeyPlanner(schedule: schedule)
        change(at: time, try planner.start(shelf.contents, at: now))
        change(at: time, planner.upkeep(shelf.records, at: now))
        nodes[index].settings.append((time, schedule))
        nodes[index].ownChange = time
    }

    /// What every node does each second.
    mutating func poll(at time: Instant) throws {
        for index in nodes.indices.shuffled(using: &generator) {
            let planner = KeyPlanner(schedule: nodes[index].schedule(at: time)!)
            let now = reading(nodes[index].offset, at: time)
            let upkeep = planner.upkeep(shelf.records, at: now)
            if !upkeep.isEmpty {
                change(at: time, upkeep)
                nodes[index].ownChange = time
            }
            if planner.isRotationDue(shelf.records, at: now) {
                change(at: time, try planner.automaticRotation(shelf.contents, at: now))
                // So that the year's records stay few.
                change(at: time, planner.pruning(shelf.contents, at: now))
            }
        }
    }

    /// The state that a node works with: it may be behind by the propagation.
    mutating func known(to node: Node, at time: Instant) -> State {
        let seen = max(time - generator.duration(.zero...KeyRing.propagation), min(node.ownChange, time))
        // The last of those before the first that is later.
        var range = states.indices
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            range = states[middle].since <= seen ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return states[max(range.lowerBound - 1, 0)]
    }

    /// Lets each node sign a token.
    mutating func issue(at time: Instant) {
        for node in nodes {
            let schedule = node.schedule(at: time)!
            let ring = known(to: node, at: time).ring
            let now = reading(node.offset, at: time)
            let signing = ring.signing(schedule.algorithms + Algorithm.table, at: now).first
            // A node looks often enough to have the latest of what only grows; here it looks when something happens.
            let latest = signing.flatMap { signing in shelf.records.first { $0.keyID == signing.keyID } } ?? signing
            guard let signing, let latestExpiry = latest?.latestExpiry, latestExpiry > now else {
                // A clock that jumped ahead is noticed a second later.
                let hasJumped = setBacks.contains { $0.0 <= time && time < $0.0 + KeyRing.propagation }
                if !hasJumped { Issue.record("nothing signs at \(time)") }
                continue
            }
            let lifetime = min(schedule.tokenLifetime, signing.longestTokenLifetime, latestExpiry - now)
            tokens.append(
                Token(
                    keyID: signing.keyID, issuedAt: time, expiresAt: now + lifetime, stateIndex: states.count - 1))
        }
    }

    /// The next instant at which to look: mostly soon before or after something happens, else some time later.
    mutating func next(after time: Instant, atMost step: Duration) -> Instant {
        let schedule = nodes[0].schedule(at: time)!
        let now = reading(.zero, at: time)
        let ring = states.last!.ring
        let due = schedule.algorithms.compactMap { ring.reign(of: $0).last?.activatesAt }
            .map { $0 + schedule.rotateEvery - schedule.publishAhead }
        let event = (due + [ring.nextChange(after: now)].compactMap(\.self)).filter { $0 > now }.min()
        let jitter = generator.duration(.seconds(-35)...(.seconds(35)))
        let soon = event.map { time + max(.seconds(1), $0 - now + jitter) }
        return min(soon ?? time + step, time + generator.duration(.seconds(1)...step))
    }

    // MARK: Verifiers

    /// The last instant of a token's life by a clock that isn't ahead.
    func lastInstant(of token: Token) -> Instant {
        token.issuedAt + (token.expiresAt - reading(.zero, at: token.issuedAt)) - .instant
    }

    /// What a verifier got that fetched the JWKS from some node at an instant, and how long it keeps it; `nil` where no
    /// node was up.
    mutating func fetch(at time: Instant) -> (keyIDs: Set<KeyID>, maxAge: Duration)? {
        guard let node = nodes.randomElement(using: &generator), let schedule = node.schedule(at: time) else {
            return nil
        }
        let published = known(to: node, at: time).ring.published(at: reading(node.offset, at: time))
        return (Set(published.map(\.keyID)), schedule.jwksMaxAge)
    }
}
