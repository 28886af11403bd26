public import JOSE

/// What an operator asks of the keys: each call decides and stores under the store's lock, at the instant it got it.
public struct KeyAdministration: Sendable {
    private let store: any KeyStore
    private let planner: KeyPlanner
    private let now: @Sendable () -> Instant

    /// An operator's view of a store; it works beside running servers and without one.
    ///
    /// - Parameters:
    ///   - store: where the keys rest.
    ///   - planner: decides what changes; its settings have to be the servers'.
    ///   - now: the clock.
    public init(store: any KeyStore, planner: KeyPlanner, now: @escaping @Sendable () -> Instant) {
        self.store = store
        self.planner = planner
        self.now = now
    }

    /// What a step did, or would do: the ring after it, seen at its instant.
    public struct Outcome: Sendable {
        /// The keys as they stand after it.
        public let ring: KeyRing
        /// What it changed, in this order.
        public let changes: [KeyChange]
        /// What can't be read, and was left alone.
        public internal(set) var damaged: [DamagedKey]
        /// When it was decided.
        public let instant: Instant

        /// The keys that came.
        public var newKeys: [KeyRecord] {
            changes.compactMap { if case .add(let record, _) = $0 { record } else { nil } }
        }

        /// The keys that came or changed, and those that they take over from.
        public var concerned: [KeyRecord] {
            let changed = changes.map(\.keyID)
            return ring.records.filter { record in
                changed.contains(record.keyID)
                    || ring.retiresAt(record).map { retiresAt in
                        ring.records.contains { changed.contains($0.keyID) && $0.activatesAt == retiresAt }
                    } ?? false
            }
        }
    }

    private func perform(
        dryRun: Bool = false, _ plan: @escaping @Sendable (KeyStoreContents, Instant) throws -> [KeyChange]
    ) async throws -> Outcome {
        let decide: @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Outcome) = {
            [planner, now] contents in
            let instant = now()
            let changes = try plan(contents, instant)
            let ring = planner.ring(contents.records.applying(changes))
            return (changes, Outcome(ring: ring, changes: changes, damaged: contents.damaged, instant: instant))
        }
        return dryRun ? try decide(await store.contents()).result : try await store.change(decide)
    }

    /// The ring as it stands, and what is damaged of it, private halves that can't be opened included.
    public func list() async throws -> Outcome {
        var outcome = try await perform(dryRun: true) { _, _ in [] }
        for record in outcome.ring.records where record.hasPrivateKey {
            do {
                _ = try await store.privateKey(of: record)
            } catch {
                outcome.damaged.append(DamagedKey(name: record.keyID.rawValue, reason: "\(error)"))
            }
        }
        return outcome
    }

    /// See ``KeyPlanner/rotation(of:immediately:_:at:)``.
    public func rotate(_ algorithm: Algorithm?, immediately: Bool, dryRun: Bool) async throws -> Outcome {
        try await perform(dryRun: dryRun) { [planner] in
            try planner.rotation(of: algorithm, immediately: immediately, $0, at: $1)
        }
    }

    /// See ``KeyPlanner/revocation(of:reason:revokedAt:_:at:)``.
    public func revoke(_ keyID: KeyID, reason: String) async throws -> Outcome {
        try await perform { [planner] in try planner.revocation(of: keyID, reason: reason, $0, at: $1) }
    }

    /// See ``KeyPlanner/importing(_:activateAt:_:at:)``.
    public func importKey(_ jwk: JWK, activateAt: Instant?) async throws -> Outcome {
        try await perform { [planner] in [try planner.importing(jwk, activateAt: activateAt, $0, at: $1)] }
    }

    /// See ``KeyPlanner/importingVerifyOnly(_:keyID:until:_:at:)``.
    public func importVerifyOnly(_ jwk: JWK, keyID: KeyID?, until: Instant) async throws -> Outcome {
        try await perform { [planner] in
            [try planner.importingVerifyOnly(jwk, keyID: keyID, until: until, $0, at: $1)]
        }
    }

    /// See ``KeyPlanner/pruning(_:at:)``.
    public func prune() async throws -> Outcome { try await perform { [planner] in planner.pruning($0, at: $1) } }

    /// See ``KeyStore/reencrypt()``.
    public func reencrypt() async throws -> Int { try await store.reencrypt() }
}
