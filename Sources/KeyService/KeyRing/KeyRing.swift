public import JOSE

/// The state of a key at an instant.
public enum KeyState: String, Sendable, Hashable, CaseIterable {
    /// Published, not signing yet.
    case pending
    /// Published and signing.
    case active
    /// Published for the tokens that it signed.
    case retired
    /// No longer published; its tokens have expired.
    case expired
    /// Taken out of the JWKS for good.
    case revoked
}

/// All keys, and what follows from their records at any instant: the same answer on every node, with nothing that has
/// to run at the right moment.
public struct KeyRing: Sendable {
    /// What it follows from.
    public let records: [KeyRecord]
    private let clockLeeway: Duration
    /// For each algorithm, the keys that have signed or will, in the order in which they take over.
    private let reigns: [Algorithm: [KeyRecord]]
    /// The key that takes over from each of them.
    private let successors: [KeyID: KeyRecord]

    /// How long a running server may take to hear of a change. It signs with the old key until then.
    public static let propagation = Duration.seconds(2)

    /// A ring of some records.
    ///
    /// - Parameters:
    ///   - records: all of them, in any order.
    ///   - clockLeeway: how far clocks may differ: for so much longer is a key published.
    public init(_ records: [KeyRecord], clockLeeway: Duration) {
        self.records = records
        self.clockLeeway = clockLeeway
        let reigning = records.filter { record in
            guard let activatesAt = record.activatesAt else { return false }
            // A key that was revoked or retired before its turn never took over from anybody.
            return [record.revokedAt, record.retiresAt].allSatisfy { $0.map { $0 > activatesAt } ?? true }
        }
        let reigns = Dictionary(grouping: reigning, by: \.algorithm).mapValues { records in
            records.sorted {
                ($0.activatesAt!, $0.createdAt, $0.keyID) < ($1.activatesAt!, $1.createdAt, $1.keyID)
            }
        }
        self.reigns = reigns
        successors = Dictionary(
            reigns.values.flatMap { zip($0.map(\.keyID), $0.dropFirst()) }, uniquingKeysWith: { $1 })
    }

    /// The record of a key; `nil` where there is none.
    public func record(_ keyID: KeyID) -> KeyRecord? { records.first { $0.keyID == keyID } }

    /// The keys of an algorithm that have signed or will, in the order in which they take over.
    func reign(of algorithm: Algorithm) -> [KeyRecord] { reigns[algorithm] ?? [] }

    /// When a key stops signing, as far as it is known: another takes over, or its algorithm was removed.
    public func retiresAt(_ record: KeyRecord) -> Instant? {
        guard record.activatesAt != nil else { return nil }
        return [record.retiresAt, successors[record.keyID]?.activatesAt].compactMap(\.self).min()
    }

    /// When a key leaves the JWKS, as far as it is known: once no token that it signed can be valid any more, also where
    /// a clock that ran ahead for a while signed it. `nil` as long as it isn't known when it stops signing.
    public func expiresAt(_ record: KeyRecord) -> Instant? {
        if let until = record.publishedUntil { return until }
        guard let activatesAt = record.activatesAt, let retiresAt = retiresAt(record) else { return nil }
        guard retiresAt > activatesAt else { return retiresAt }
        // Of a takeover at once a server hears late, and by a clock that is ahead it then has signed past that instant.
        let successor = successors[record.keyID]
        let wasSudden =
            successor?.activatesAt == retiresAt && retiresAt - successor!.createdAt < clockLeeway + Self.propagation
        let signedLast = max(
            retiresAt + (wasSudden ? clockLeeway * 2 + Self.propagation : max(clockLeeway, Self.propagation)),
            record.signedUntil.map { $0 + clockLeeway } ?? retiresAt)
        return signedLast + record.longestTokenLifetime
    }

    /// The state of a key at an instant. A revoked key is revoked at every instant, so that a clock that was set back
    /// doesn't bring it back.
    public func state(of record: KeyRecord, at now: Instant) -> KeyState {
        if record.revokedAt != nil { return .revoked }
        if let expiresAt = expiresAt(record), now >= expiresAt { return .expired }
        guard let activatesAt = record.activatesAt else { return .retired }
        if now < activatesAt { return .pending }
        if let retiresAt = retiresAt(record), now >= retiresAt { return .retired }
        return .active
    }

    /// The key that signs with an algorithm at an instant.
    public func active(_ algorithm: Algorithm, at now: Instant) -> KeyRecord? {
        reigns[algorithm]?.last { state(of: $0, at: now) == .active }
    }

    /// The keys that may sign at an instant, the preferred first: the active ones of the algorithms in their order. Behind
    /// them those that took over already, by a clock that was set back since: they sign on where nothing else does, the keys
    /// before them having been pruned.
    public func signing(_ algorithms: [Algorithm], at now: Instant) -> [KeyRecord] {
        algorithms.compactMap { active($0, at: now) }.filter(\.hasPrivateKey)
            + algorithms.compactMap { algorithm in
                reign(of: algorithm).first {
                    $0.hasPrivateKey && $0.signedUntil != nil && state(of: $0, at: now) == .pending
                }
            }
    }

    /// The keys of the JWKS at an instant.
    public func published(at now: Instant) -> [KeyRecord] {
        records.filter { ![.expired, .revoked].contains(state(of: $0, at: now)) }
    }

    /// The first instant after `now` at which any key changes its state.
    public func nextChange(after now: Instant) -> Instant? {
        records.filter { $0.revokedAt == nil }
            .flatMap { [$0.activatesAt, retiresAt($0), expiresAt($0)] }
            .compactMap(\.self).filter { $0 > now }.min()
    }
}
