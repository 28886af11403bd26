internal import JOSE

/// Hands out places in status lists from blocks that it leases ahead.
actor StatusIndexes {
    private let store: StatusListStore
    private let now: @Sendable () -> Instant
    private let didLease: @Sendable (_ list: String) -> Void
    private var places: [StatusReference] = []
    private var leasedAt = Instant(microseconds: .min)
    private var lease: Task<Void, any Error>?
    private var needsNewList = false

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
        if places.isEmpty || now() >= leasedAt + StatusListStore.leaseLifetime {
            places = []
            while places.isEmpty { try await fill() }
        }
        let place = places.removeLast()
        // Ahead of the need; where it fails, who needs one tries again.
        if places.count < Self.reserve, lease == nil { Task { try? await fill() } }
        return place
    }

    /// The next block will be of a new list: the database was seen to have gone back in time.
    func startNewList() {
        places = []
        needsNewList = true
    }

    /// Leases a block; who comes while one is under way waits for that.
    private func fill() async throws {
        let task =
            lease
            ?? Task {
                defer { lease = nil }
                let (instant, startingList) = (now(), needsNewList)
                let block = try await store.lease(startingList: startingList, at: instant)
                // A block of a list that was given up meanwhile isn't used.
                guard startingList || !needsNewList else { return }
                needsNewList = false
                if let place = block.first { didLease(place.list) }
                places += block
                leasedAt = instant
            }
        lease = task
        try await task.value
    }
}
