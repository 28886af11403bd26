internal import JOSE

/// Hands out places in status lists from blocks that it leases ahead.
actor StatusIndexes {
    private let store: StatusListStore
    private let now: @Sendable () -> Instant
    private let didLease: @Sendable (_ list: String) -> Void
    /// The oldest first.
    private var blocks: [Block] = []
    private var lease: Task<Void, any Error>?
    private var needsNewList = false
    private var startedListAt: Instant?

    private struct Block {
        var places: [StatusReference]
        let leasedAt: Instant
    }

    /// So few left that the next block is leased.
    private static let reserve = StatusListStore.blockSize / 4

    /// - Parameter didLease: is told of the list of each block before a place in it is handed out.
    init(
        store: StatusListStore, now: @escaping @Sendable () -> Instant,
        didLease: @escaping @Sendable (_ list: String) -> Void
    ) {
        self.store = store
        self.now = now
        self.didLease = didLease
    }

    /// A place that nobody else has.
    func next() async throws -> StatusReference {
        dropUsed()
        while blocks.isEmpty {
            try await fill()
            dropUsed()
        }
        let place = blocks[0].places.removeLast()
        // Ahead of the need; where it fails, who needs one tries again.
        let left = blocks.reduce(0) { $0 + $1.places.count }
        if left < Self.reserve, lease == nil { Task { try? await fill() } }
        return place
    }

    /// Drops blocks that are used up, and those that were leased so long ago that their list may be forgotten.
    private func dropUsed() {
        let instant = now()
        blocks.removeAll { $0.places.isEmpty || instant >= $0.leasedAt + StatusListStore.leaseLifetime }
    }

    /// The next block will be of a new list: the database was seen to have gone back in time. Once is enough for all that
    /// show it.
    func startNewList() {
        let instant = now()
        if let last = startedListAt, instant >= last, instant - last < StatusListStore.leaseLifetime { return }
        startedListAt = instant
        blocks = []
        needsNewList = true
    }

    /// The blocks aren't the database's any more.
    func giveUpBlocks() { blocks = [] }

    /// Leases a block; who comes while one is under way waits for that.
    private func fill() async throws {
        let task =
            lease
            ?? Task {
                defer { lease = nil }
                let (instant, startingList) = (now(), needsNewList)
                let places = try await store.lease(startingList: startingList, at: instant)
                // A block of a list that was given up meanwhile isn't used.
                guard startingList || !needsNewList else { return }
                needsNewList = false
                if let place = places.first { didLease(place.list) }
                blocks.append(Block(places: places, leasedAt: instant))
            }
        lease = task
        try await task.value
    }
}
