internal import JOSE

/// Remembers tokens that were verified, by the SHA-256 of their text, so that the same token costs a hash the next time.
///
/// It holds two generations: what is used moves to the young one, and when that is full, or its first token has expired, the
/// old one goes. So it is bounded without a list to keep in order, and few that have expired are kept.
final class AcceptedTokenCache: Sendable {
    private struct Generations {
        var young: [SHA256.Digest: AcceptedToken] = [:]
        var old: [SHA256.Digest: AcceptedToken] = [:]
        /// When the young one becomes the old one, full or not.
        var youngUntil = Instant(microseconds: .max)
    }

    private let shards: [Locked<Generations>]
    /// How many tokens a generation of a shard holds.
    private let size: Int

    private static var shardCount: Int { 16 }

    /// - Parameter capacity: the most tokens that are remembered; 0 for none.
    init(capacity: Int) {
        size = (capacity + Self.shardCount * 2 - 1) / (Self.shardCount * 2)
        shards = (0..<Self.shardCount).map { _ in Locked(Generations()) }
    }

    private func shard(_ digest: SHA256.Digest) -> Locked<Generations> { shards[digest.bucket(of: Self.shardCount)] }

    /// How long a generation is young, whatever its first token says.
    private static let (shortest, longest) = (Duration.seconds(60), Duration.seconds(900))

    func token(_ digest: SHA256.Digest, at now: Instant) -> AcceptedToken? {
        guard size > 0 else { return nil }
        // What goes is freed after the lock, here and below.
        return shard(digest).withLock { generations -> (AcceptedToken?, outgoing: [SHA256.Digest: AcceptedToken]) in
            if let token = generations.young[digest] { return (token, [:]) }
            guard let token = generations.old[digest] else { return (nil, [:]) }
            return (token, insert(token, digest, at: now, &generations))
        }.0
    }

    func insert(_ token: AcceptedToken, _ digest: SHA256.Digest, at now: Instant) {
        guard size > 0 else { return }
        _ = shard(digest).withLock { insert(token, digest, at: now, &$0) }
    }

    private func insert(
        _ token: AcceptedToken, _ digest: SHA256.Digest, at now: Instant, _ generations: inout Generations
    ) -> [SHA256.Digest: AcceptedToken] {
        var outgoing: [SHA256.Digest: AcceptedToken] = [:]
        let isFull = generations.young.count >= size && generations.young[digest] == nil
        if isFull || now >= generations.youngUntil {
            outgoing = generations.old
            generations.old = generations.young
            generations.young = [:]
        }
        if generations.young.isEmpty {
            generations.youngUntil = min(
                max(token.claims.expiresAt ?? now, now + Self.shortest), now + Self.longest)
        }
        generations.young[digest] = token
        return outgoing
    }

    func remove(_ digest: SHA256.Digest) {
        shard(digest).withLock { generations in
            generations.young[digest] = nil
            generations.old[digest] = nil
        }
    }
}
