public import JOSE
public import Logging

/// The keys of a running server: the ring, the private keys that sign now, and the published documents made from them.
///
/// It looks at the store every second, so that it sees what a command or another node did; between two changes a request
/// costs a lock and a comparison of instants.
public final class KeyService: Sendable {
    private let store: any KeyStore
    private let knownKeys: KnownKeys?
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
        /// What is remembered of keys besides the store.
        var known: [KeyID: KnownKeys.Key] = [:]
        /// What was reported already of what is stored.
        var problems: Set<String> = []
        /// What couldn't be done when it was tried last.
        var failing: Set<String> = []
    }

    /// How often the store is asked whether it changed.
    public static let pollInterval = Duration.seconds(1)

    /// Brings the store up to date for these settings, and loads it.
    ///
    /// - Parameters:
    ///   - store: where the keys rest; others may change it meanwhile.
    ///   - knownKeys: where keys are remembered besides the store.
    ///   - planner: decides, by the settings, which keys are needed.
    ///   - now: the clock.
    ///   - logger: is told of new keys, and once of each problem.
    ///   - didMake: is told of each key that this service made by itself, once it is stored.
    /// - Throws: ``KeyServiceError`` `badSettings` for a schedule that breaks its rules, `masterSecret` or `storage`
    ///   where the keys can't be had.
    public init(
        store: any KeyStore, knownKeys: KnownKeys? = nil, planner: KeyPlanner,
        now: @escaping @Sendable () -> Instant, logger: Logger,
        didMake: @escaping @Sendable (KeyRecord) async -> Void = { _ in }
    ) async throws {
        self.store = store
        self.knownKeys = knownKeys
        self.planner = planner
        self.now = now
        self.logger = logger
        self.didMake = didMake
        let empty = planner.ring([])
        state = Locked(
            State(
                loadedAt: now(), ring: empty, privateKeys: [:],
                view: try KeyView(ring: empty, privateKeys: [:], planner.schedule, at: now())))
        let known = try await knownKeys?.all() ?? [:]
        try await make("made a key") { contents in
            let now = now()
            let again = try planner.revokingAgain(known, contents, at: now)
            return again + (try planner.start(contents.applying(again), known: known, in: store.place, at: now))
        }
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

    /// How many things are wrong with the keys now, each of which was logged: keys that can't be read or written, or none
    /// that can sign.
    public var problemCount: Int { state.withLock { $0.problems.count + $0.failing.count } }

    /// Looks at the store now and then, and makes the keys that are due, until the task is cancelled.
    public func run() async throws {
        while !Task.isCancelled {
            await attempt("can't read or write the keys") { try await refresh() }
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
        for change in changes {
            switch change {
            case .add(let record, _):
                logger.notice(
                    message,
                    metadata: [
                        "kid": "\(record.keyID)", "algorithm": "\(record.algorithm)",
                        "activates_at": "\(record.activatesAt!)",
                    ])
                await didMake(record)
            case .update(let record) where record.revokedAt != nil:
                logger.warning(
                    "a key that was revoked had been put back, and is revoked again",
                    metadata: ["kid": "\(record.keyID)", "revoked_at": "\(record.revokedAt!)"])
            default: continue
            }
        }
    }

    private func reload() async throws {
        var version = try await store.version()
        var contents = try await store.contents()
        let remembered = await recall()
        let known = state.withLock { $0.known }
        let instant = now()
        let planner = planner
        let isDue = { (contents: KeyStoreContents) in
            contents.records.contains { $0.revokedAt == nil && known.wasRevoked($0) }
                || !planner.upkeep(contents.records, at: instant).isEmpty
        }
        // What others did counts also where this fails, a revocation above all; what is signed is bounded by what is written.
        await attempt("can't write the keys' records") {
            guard isDue(contents) else { return }
            // Before anything is signed or published under today's settings, the records have to say so.
            try await make("made a key in place of a revoked one") { contents in
                let again = try planner.revokingAgain(known, contents, at: instant)
                return again + planner.upkeep(contents.records.applying(again), at: instant)
            }
            version = try await store.version()
            contents = try await store.contents()
        }
        if let remembered { await remember(contents.records, besides: remembered) }
        contents.damaged.forEach { report("a key can't be read, and is left out: \($0)") }
        guard !contents.records.isEmpty || state.withLock({ $0.ring.records.isEmpty }) else {
            throw KeyServiceError(.storage, "no key can be read any more; those in memory stay in use")
        }
        let ring = planner.ring(contents.records.revoking(known))
        // What can't be read today may be readable tomorrow, without any change to the store.
        var isWhole = contents.damaged.isEmpty
        var privateKeys: [KeyID: PrivateKey] = [:]
        let readBefore = state.withLock { $0.privateKeys }
        for record in ring.records
        where record.hasPrivateKey && [.pending, .active].contains(ring.state(of: record, at: instant)) {
            do {
                privateKeys[record.keyID] = try await store.privateKey(of: record)
            } catch {
                isWhole = false
                // A key that was read before signs on; after a restart it couldn't.
                report("a private key can't be read: \(error)")
                privateKeys[record.keyID] = readBefore[record.keyID]
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
            $0.known.merge(ring.records.map { ($0.keyID, KnownKeys.Key($0)) }) { $0.merging($1) }
            // What was mended and breaks again is news.
            if isWhole, view.signingKey != nil { $0.problems = [] }
        }
    }

    /// Reads what is remembered of keys, to be taken together with what this service saw itself.
    ///
    /// - Returns: what the database remembers; `nil` where there is none, or it can't be read.
    private func recall() async -> [KeyID: KnownKeys.Key]? {
        guard let knownKeys else { return nil }
        var remembered: [KeyID: KnownKeys.Key]?
        await attempt("can't read which keys were revoked") { remembered = try await knownKeys.all() }
        state.withLock { [remembered] in $0.known.merge(remembered ?? [:]) { $0.merging($1) } }
        return remembered
    }

    /// Remembers what the store has and the database doesn't know.
    private func remember(_ records: [KeyRecord], besides remembered: [KeyID: KnownKeys.Key]) async {
        let news = records.filter { record in
            remembered[record.keyID].map { record.revokedAt != nil && $0.revokedAt == nil } ?? true
        }
        await attempt("can't remember which keys there are") {
            if !news.isEmpty { try await knownKeys?.remember(news) }
        }
    }

    /// Tries something that may fail again and again, and logs that once until it is over.
    private func attempt(_ problem: String, _ body: () async throws -> Void) async {
        do {
            try await body()
            state.withLock { _ = $0.failing.remove(problem) }
        } catch {
            if state.withLock({ $0.failing.insert(problem).inserted }) { logger.error("\(problem): \(error)") }
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
