internal import JOSE

/// Remembers tokens that were verified, by the SHA-256 of their text, so that the same token costs a hash the next time.
///
/// It holds two generations: what is used moves to the young one, and when that is full the old one goes. So it is bounded
/// without a list to keep in order.
final class VerifiedTokenCache<Claims: Decodable & Sendable>: Sendable {
    struct Entry: Sendable {
        let token: VerifiedToken<Claims>
        /// The key that signed it, and the set in which that was last found.
        let key: JWK
        let keys: PublishedKeys
        let status: StatusListReference?
    }

    private struct Generations {
        var young: [SHA256.Digest: Entry] = [:]
        var old: [SHA256.Digest: Entry] = [:]
    }

    private let shards: [Locked<Generations>]
    /// How many entries a generation of a shard holds.
    private let size: Int

    private static var shardCount: Int { 16 }

    /// - Parameter capacity: the most tokens that are remembered; 0 for none.
    init(capacity: Int) {
        size = (capacity + Self.shardCount * 2 - 1) / (Self.shardCount * 2)
        shards = (0..<Self.shardCount).map { _ in Locked(Generations()) }
    }

    private func shard(_ digest: SHA256.Digest) -> Locked<Generations> { shards[digest.bucket(of: Self.shardCount)] }

    func entry(_ digest: SHA256.Digest) -> Entry? {
        guard size > 0 else { return nil }
        return shard(digest).withLock { generations in
            if let entry = generations.young[digest] { return entry }
            guard let entry = generations.old[digest] else { return nil }
            _ = insert(entry, digest, &generations)
            return entry
        }
    }

    func insert(_ entry: Entry, _ digest: SHA256.Digest) {
        guard size > 0 else { return }
        // What goes is freed after the lock.
        _ = shard(digest).withLock { insert(entry, digest, &$0) }
    }

    private func insert(_ entry: Entry, _ digest: SHA256.Digest, _ generations: inout Generations)
        -> [SHA256.Digest: Entry]
    {
        var outgoing: [SHA256.Digest: Entry] = [:]
        if generations.young.count >= size, generations.young[digest] == nil {
            outgoing = generations.old
            generations.old = generations.young
            generations.young = [:]
        }
        generations.young[digest] = entry
        return outgoing
    }

    func remove(_ digest: SHA256.Digest) {
        shard(digest).withLock { generations in
            generations.young[digest] = nil
            generations.old[digest] = nil
        }
    }
}
