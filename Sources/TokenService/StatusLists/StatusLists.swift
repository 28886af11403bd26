internal import Hummingbird
internal import JOSE
internal import KeyService
internal import NIOCore
internal import Storage
internal import TokenVerifier

/// The status lists as this node knows and publishes them: which bits are set, in memory, and the signed documents made of
/// them (Token Status List draft, section 5.1).
///
/// It looks at the database every second for what others did; what this node did is there at once. A document is built
/// once a change or once a `ttl`, however many ask for it.
final class StatusLists: Sendable {
    private let store: StatusListStore
    private let issuer: TokenIssuer
    /// How long a verifier may keep a list.
    private let ttl: Duration
    private let clockLeeway: Duration
    private let now: @Sendable () -> Instant
    private let state = Locked(State())
    /// Is told when the database has another history: places that were leased in the one before are lost.
    let didChangeHistory = Locked<(@Sendable () async -> Void)?>(nil)
    /// The documents that are being built, each once.
    private let builds = Locked([String: Task<Document?, any Error>]())

    private struct State {
        var lists: [String: List] = [:]
        /// When the database was last asked, with an answer.
        var seenAt: Instant?
        /// When a list that isn't known was last looked for.
        var lookedAt: Instant?
        /// The look that hasn't begun yet.
        var nextLook: Task<Void, any Error>?
        /// The history of the database's that was seen.
        var timeline: String?
        /// The last change that was seen.
        var change: Int64 = 0
        /// When all bits were read last.
        var readAt = Instant(microseconds: 0)
    }

    private struct List {
        var statuses: StatusList { didSet { encoded = nil } }
        /// As a document has it; compressed once a change.
        var encoded: JSONObject?
        /// Until when each set bit counts.
        var setBits: [Int: Instant] = [:]
        var isChanged = false
        var document: Document?
        /// When it was known to be in the database.
        var seenAt: Instant
    }

    /// A list as it is published.
    struct Document: Sendable {
        let body: ByteBuffer
        let entityTag: String
        let keyID: KeyID
        let builtAt: Instant
        /// When its `ttl`, which counts from `iat`, is over.
        let freshUntil: Instant
        let expiresAt: Instant
    }

    /// How often the database is asked what others set.
    static let pollInterval = Duration.seconds(1)
    /// How often all bits are read, rather than what changed.
    private static let wholeInterval = Duration.seconds(60)
    /// An answer of the database that is older than this isn't built upon.
    private static let freshness = Duration.seconds(5)
    /// However many ask for lists that aren't known, they are looked for no more often than this.
    private static let lookInterval = Duration.milliseconds(100)
    /// However often a list changes, it isn't built more often than this.
    private static let buildInterval = Duration.milliseconds(500)

    init(
        store: StatusListStore, issuer: TokenIssuer, ttl: Duration, clockLeeway: Duration,
        now: @escaping @Sendable () -> Instant
    ) {
        self.store = store
        self.issuer = issuer
        self.ttl = ttl
        self.clockLeeway = clockLeeway
        self.now = now
    }

    // MARK: What is known

    /// Asks the database once what changed.
    func refresh() async throws {
        let instant = now()
        let (change, isWhole, timeline) = state.withLock { state in
            // Now and then all is read: a database that failed over may have lost changes and numbered others like them.
            let isWhole = instant < state.readAt || instant >= state.readAt + Self.wholeInterval
            return (isWhole ? 0 : state.change, isWhole, state.timeline)
        }
        let contents = try await store.contents(after: change, timeline: timeline)
        if contents.isNewHistory {
            // What is handed out from now on, others have to know.
            await didChangeHistory.withLock { $0 }?()
            let known = state.withLock { $0.lists.mapValues(\.statuses.count) }
            try await store.restore(
                known.filter { contents.lists[$0.key] == nil }, lostBits(contents, at: instant), at: instant)
        }
        state.withLock { state in
            for (id, size) in contents.lists { Self.add(id, size: size, at: instant, in: &state) }
        }
        set(contents.bits)
        state.withLock { state in
            state.seenAt = instant
            state.timeline = contents.timeline
            state.change = contents.change
            if isWhole { state.readAt = instant }
        }
        if isWhole { clear(at: instant) }
    }

    /// The bits that are set here and not in the database. Who was let in again since then may have got tokens.
    private func lostBits(_ contents: StatusListStore.Contents, at instant: Instant) -> [StatusBit] {
        let kept = Set(contents.bits.map(\.reference))
        let known = state.withLock { $0.lists.mapValues(\.setBits) }
        return known.flatMap { list, bits in
            bits.compactMap { index, tokensUntil in
                let reference = StatusReference(list: list, index: index)
                guard tokensUntil + clockLeeway > instant, !kept.contains(reference) else { return nil }
                return StatusBit(
                    reference: reference, tokensUntil: max(tokensUntil, instant + issuer.lifetime + clockLeeway))
            }
        }
    }

    /// A list that this node has begun, or goes on to fill.
    func add(_ id: String) {
        let instant = now()
        state.withLock { Self.add(id, size: StatusListStore.size, at: instant, in: &$0) }
    }

    private static func add(_ id: String, size: Int, at instant: Instant, in state: inout State) {
        state.lists[id, default: List(statuses: StatusList(count: size), seenAt: instant)].seenAt = instant
    }

    /// Sets bits that this node has made durable.
    func set(_ bits: [StatusBit]) {
        // A lock for all at once would hold up the requests when a million sessions end.
        for start in stride(from: 0, to: bits.count, by: 1000) {
            state.withLock { Self.set(bits[start..<min(start + 1000, bits.count)], in: &$0) }
        }
    }

    private static func set(_ bits: ArraySlice<StatusBit>, in state: inout State) {
        for bit in bits {
            let (id, index) = (bit.reference.list, bit.reference.index)
            guard state.lists[id] != nil, index < state.lists[id]!.statuses.count else { continue }
            let known = state.lists[id]!.setBits[index]
            guard known.map({ $0 < bit.tokensUntil }) ?? true else { continue }
            state.lists[id]!.setBits[index] = bit.tokensUntil
            if known == nil {
                state.lists[id]!.statuses[index] = 1
                state.lists[id]!.isChanged = true
            }
        }
    }

    /// Clears the bits that no token names any more, and drops the lists that nobody needs.
    private func clear(at instant: Instant) {
        let ids = state.withLock { state in
            state.lists = state.lists.filter { $0.value.seenAt + issuer.lifetime + clockLeeway * 2 > instant }
            return Array(state.lists.keys)
        }
        // One list at a time, for the requests in between.
        for id in ids {
            state.withLock { state in
                let expired = state.lists[id]?.setBits.filter { $0.value + clockLeeway * 2 <= instant } ?? [:]
                for index in expired.keys {
                    state.lists[id]!.setBits[index] = nil
                    state.lists[id]!.statuses[index] = 0
                    state.lists[id]!.isChanged = true
                }
            }
        }
    }

    /// Whether a token's bit is set, as far as is known; `nil` for a place that doesn't exist.
    ///
    /// - Throws: ``VerifierUnavailable`` where the database has been away for longer than a list is good for.
    func isSet(_ reference: StatusReference) async throws -> Bool? {
        if let answer = try known(reference) { return answer }
        // Another node may have begun the list a moment ago.
        guard isPlausible(reference.list) else { return nil }
        try await refreshForUnknownList()
        return try known(reference)
    }

    private static let stale = VerifierUnavailable("the database can't tell now which sessions were ended")

    private func known(_ reference: StatusReference) throws -> Bool? {
        let instant = now()
        return try state.withLock { state in
            guard let seenAt = state.seenAt, instant < seenAt + issuer.lifetime else { throw Self.stale }
            guard let list = state.lists[reference.list] else { return nil }
            guard reference.index >= 0, reference.index < list.statuses.count else { return nil }
            return list.statuses[reference.index] != 0
        }
    }

    /// How much there is.
    struct Sizes {
        var lists = 0
        var places = 0
        /// The bits that are set.
        var ended = 0
        /// Of the documents that are built.
        var bytes = 0
    }

    /// When the database last told what was ended.
    var seenAt: Instant? { state.withLock { $0.seenAt } }

    var sizes: Sizes {
        state.withLock { state in
            state.lists.values.reduce(into: Sizes()) { sizes, list in
                sizes.lists += 1
                sizes.places += list.statuses.count
                sizes.ended += list.setBits.count
                sizes.bytes += list.document?.body.readableBytes ?? 0
            }
        }
    }

    /// Whether a text could be the id of a list.
    private func isPlausible(_ id: String) -> Bool { (try? Base64URL.decode(id).count) == 16 }

    // MARK: What is published

    /// The document of a list; `nil` where there is no such list.
    ///
    /// - Throws: ``VerifierUnavailable`` where the database is away and the last document has expired.
    func document(_ id: String) async throws -> Document? {
        if state.withLock({ $0.lists[id] == nil }) {
            guard isPlausible(id) else { return nil }
            try await refreshForUnknownList()
            guard state.withLock({ $0.lists[id] != nil }) else { return nil }
        }
        let keyID = try issuer.keyID()
        if let document = try current(id, keyID: keyID) { return document }
        let task = builds.withLock { builds in
            if let task = builds[id] { return task }
            // Compressing may take ten milliseconds: not on the event loop, where others wait behind it.
            let task = Task {
                defer { self.builds.withLock { $0[id] = nil } }
                return try self.current(id, keyID: keyID) ?? self.build(id)
            }
            builds[id] = task
            return task
        }
        return try await task.value
    }

    /// Looks for a list that another node began; however many ids are made up, there is one look in a tenth of a second at
    /// the most. Who comes while one is under way waits for the next: the list may have been begun since.
    private func refreshForUnknownList() async throws {
        let look = state.withLock { state in
            if let next = state.nextLook { return next }
            let instant = now()
            let pause = state.lookedAt.map { min(max($0 + Self.lookInterval - instant, .zero), Self.lookInterval) }
            let look = Task {
                if let pause, pause > .zero { try await Task.sleep(for: pause) }
                self.state.withLock {
                    $0.nextLook = nil
                    $0.lookedAt = self.now()
                }
                try await self.refresh()
            }
            state.nextLook = look
            return look
        }
        try await look.value
    }

    /// The document that is there, as long as it needn't be built anew; `nil` where it does.
    private func current(_ id: String, keyID: KeyID) throws -> Document? {
        let instant = now()
        return try state.withLock { state in
            let isFresh = state.seenAt.map { instant < $0 + Self.freshness } ?? false
            guard let list = state.lists[id], let document = list.document else {
                if !isFresh { throw Self.stale }
                return nil
            }
            let age = instant - document.builtAt
            let isCurrent = document.keyID == keyID && age >= .zero && instant < document.freshUntil
            if isCurrent, !list.isChanged || age < Self.buildInterval { return document }
            if isFresh { return nil }
            // The database is away: the last one is good for as long as it says.
            guard instant < document.expiresAt else { throw Self.stale }
            return document
        }
    }

    private func build(_ id: String) throws -> Document? {
        let list = state.withLock { $0.lists[id] }
        guard let list else { return nil }
        let instant = now()
        let encoded = list.encoded ?? list.statuses.members
        let signed = try issuer.statusList(id, encoded, ttl: ttl, at: instant)
        let body = Array(signed.text.utf8)
        let document = Document(
            body: ByteBuffer(bytes: body), entityTag: try Response.entityTag(of: body), keyID: signed.keyID,
            builtAt: instant, freshUntil: Instant(seconds: instant.seconds) + ttl, expiresAt: signed.expiresAt)
        state.withLock { state in
            guard var known = state.lists[id] else { return }
            known.document = document
            // What was set meanwhile isn't in it.
            known.isChanged = known.statuses != list.statuses
            if !known.isChanged { known.encoded = encoded }
            state.lists[id] = known
        }
        return document
    }
}
