public import JOSE
public import Logging

/// The keys of a running server: the ring, the private keys that sign now, and the published documents made from them.
///
/// It looks at the store every second, so that it sees what a command or another node did; between two changes a request
/// costs a lock and a comparison of instants.
public final class KeyService: Sendable {
    private let store: any KeyStore
    private let planner: KeyPlanner
    private let now: @Sendable () -> Instant
    private let logger: Logger
    private let didMake: @Sendable (KeyRecord) async -> Void
    private let state: Locked<State>
    private let turns = Turns()

    private struct State {
        /// `nil` where it has to be loaded anew anyhow.
        var version: KeyStoreVersion?
        /// The instant for which the private keys were chosen.
        var loadedAt: Instant
        var ring: KeyRing
        var privateKeys: [KeyID: PrivateKey]
        var view: KeyView
        /// What was reported already.
        var problems: Set<String> = []
    }

    /// How often the store is asked whether it changed.
    public static let pollInterval = Duration.seconds(1)

    /// Brings the store up to date for these settings, and loads it.
    ///
    /// - Parameters:
    ///   - store: where the keys rest; others may change it meanwhile.
    ///   - planner: decides, by the settings, which keys are needed.
    ///   - now: the clock.
    ///   - logger: is told of new keys, and once of each problem.
    ///   - didMake: is told of each key that this service made by itself, once it is stored.
    /// - Throws: ``KeyServiceError`` `badSettings` for a schedule that breaks its rules, `masterSecret` or `storage`
    ///   where the keys can't be had.
    public init(
        store: any KeyStore, planner: KeyPlanner, now: @escaping @Sendable () -> Instant, logger: Logger,
        didMake: @escaping @Sendable (KeyRecord) async -> Void = { _ in }
    ) async throws {
        self.store = store
        self.planner = planner
        self.now = now
        self.logger = logger
        self.didMake = didMake
        let empty = planner.ring([])
        state = Locked(
            State(
                loadedAt: now(), ring: empty, privateKeys: [:],
                view: try KeyView(ring: empty, privateKeys: [:], planner.schedule, at: now())))
        try await make("made a key") { try planner.start($0, at: now()) }
        try await reload()
    }

    /// The keys at this instant. Cheap enough to ask for at every request.
    public func current() throws -> KeyView {
        let now = now()
        return try state.withLock { state in
            if !state.view.holds(at: now) {
                state.view = try KeyView(ring: state.ring, privateKeys: state.privateKeys, planner.schedule, at: now)
            }
            return state.view
        }
    }

    /// All keys as they were loaded last.
    public var ring: KeyRing { state.withLock { $0.ring } }

    /// Looks at the store now and then, and makes the keys that are due, until the task is cancelled.
    public func run() async throws {
        while !Task.isCancelled {
            do {
                try await refresh()
            } catch {
                report("can't read or write the keys: \(error)")
            }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    /// Looks at the store once: loads what changed, and makes the keys that are due. One look after the other, so that an
    /// older one is never put in place of a newer one.
    ///
    /// - Throws: ``KeyServiceError``; what was loaded before stays in use.
    public func refresh() async throws { try await turns.take { try await self.look() } }

    private func look() async throws {
        let (version, loadedAt, records) = state.withLock { ($0.version, $0.loadedAt, $0.ring.records) }
        // By a clock that was set back an earlier key signs again; as it goes on, the records have to keep ahead of it.
        let isStale = try await store.version() != version || now() < loadedAt
        if isStale || !planner.upkeep(records, at: now()).isEmpty { try await reload() }
        let planner = planner
        guard planner.isRotationDue(state.withLock { $0.ring.records }, at: now()) else { return }
        try await make("rotation: made the next key") { [now] in try planner.automaticRotation($0, at: now()) }
        try await reload()
    }

    /// Stores what `plan` says, and logs the keys that came of it.
    private func make(
        _ message: Logger.Message, _ plan: @escaping @Sendable (KeyStoreContents) throws -> [KeyChange]
    ) async throws {
        let changes = try await store.change { contents in
            let changes = try plan(contents)
            return (changes, changes)
        }
        for case .add(let record, _) in changes {
            logger.notice(
                message,
                metadata: [
                    "kid": "\(record.keyID)", "algorithm": "\(record.algorithm)",
                    "activates_at": "\(record.activatesAt!)",
                ])
            await didMake(record)
        }
    }

    private func reload() async throws {
        var version = try await store.version()
        var contents = try await store.contents()
        let instant = now()
        if !planner.upkeep(contents.records, at: instant).isEmpty {
            // Before anything is signed or published under today's settings, the records have to say so.
            let planner = planner
            do {
                try await store.change { (planner.upkeep($0.records, at: instant), ()) }
                version = try await store.version()
                contents = try await store.contents()
            } catch {
                // What others did counts all the same, a revocation above all; what is signed is bounded by what is written.
                report("can't write the keys' records: \(error)")
            }
        }
        contents.damaged.forEach { report("a key can't be read, and is left out: \($0)") }
        guard !contents.records.isEmpty || state.withLock({ $0.ring.records.isEmpty }) else {
            throw KeyServiceError(.storage, "no key can be read any more; those in memory stay in use")
        }
        let ring = planner.ring(contents.records)
        // What can't be read today may be readable tomorrow, without any change to the store.
        var isWhole = contents.damaged.isEmpty
        var privateKeys: [KeyID: PrivateKey] = [:]
        let known = state.withLock { $0.privateKeys }
        for record in ring.records
        where record.hasPrivateKey && [.pending, .active].contains(ring.state(of: record, at: instant)) {
            do {
                privateKeys[record.keyID] = try await store.privateKey(of: record)
            } catch {
                isWhole = false
                // A key that was read before signs on; after a restart it couldn't.
                report("a private key can't be read: \(error)")
                privateKeys[record.keyID] = known[record.keyID]
            }
        }
        let view = try KeyView(ring: ring, privateKeys: privateKeys, planner.schedule, at: instant)
        if view.signingKey == nil { report("no key can sign: see keys list, and keys rotate --immediately") }
        state.withLock { [version, privateKeys, isWhole] in
            $0.version = isWhole ? version : nil
            $0.loadedAt = instant
            $0.ring = ring
            $0.privateKeys = privateKeys
            $0.view = view
            // What was mended and breaks again is news.
            if isWhole, view.signingKey != nil { $0.problems = [] }
        }
    }

    /// Logs a problem the first time it is met.
    private func report(_ problem: String) {
        if state.withLock({ $0.problems.insert(problem).inserted }) { logger.error("\(problem)") }
    }
}

/// Lets one do something at a time.
private actor Turns {
    private var last: Task<Void, any Error>?

    func take(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let turn = Task { [last] in
            _ = try? await last?.value
            try await body()
        }
        last = turn
        try await turn.value
    }
}
