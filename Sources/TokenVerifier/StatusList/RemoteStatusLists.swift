package import JOSE
public import Logging

/// The status lists of an issuer elsewhere, each fetched when a token first names it and kept for its `ttl`.
///
/// A list is fetched anew in the background once its `ttl` is over; who asks more than ``lateness`` after that waits. While
/// a new one can't be had the last serves until its `exp`, then nothing can be told of its tokens.
public final class RemoteStatusLists: StatusSource {
    private let origin: String?
    private let keys: any KeySource
    private let documents: any DocumentSource
    private let leeway: Duration
    private let now: @Sendable () -> Instant
    private let logger: Logger
    private let state = Locked([String: Entry]())

    private struct Entry {
        var list: StatusList?
        var entityTag: String?
        var fetchedAt = Instant(microseconds: 0)
        /// When the `ttl` is over.
        var freshUntil = Instant(microseconds: 0)
        var expiresAt = Instant(microseconds: 0)
        var fetch: Task<Void, any Error>?
        var failedAt: Instant?
    }

    /// What a status list token says.
    private struct ListToken {
        let list: StatusList
        let freshUntil: Instant
        let expiresAt: Instant
    }

    /// How long a list whose `ttl` is over serves on while the next is on its way.
    public static let lateness = Duration.seconds(1)
    /// How long after a fetch that failed the next is tried.
    private static let retryInterval = Duration.seconds(1)
    /// The most lists that are kept.
    private static let maximumCount = 4096
    /// The longest list token, in bytes.
    private static let maximumSize = 1024 * 1024

    /// The status lists of an issuer; each is fetched when it is first asked for.
    ///
    /// - Parameters:
    ///   - issuer: lists elsewhere than at its origin aren't fetched.
    ///   - keys: sign the lists.
    ///   - leeway: how far clocks may differ.
    ///   - logger: is told of fetches that failed.
    public convenience init(
        issuer: String, keys: any KeySource, leeway: Duration = .seconds(30),
        logger: Logger = Logger(label: "token-verifier")
    ) {
        self.init(
            issuer: issuer, keys: keys, documents: HTTPDocuments(), leeway: leeway, now: systemClock, logger: logger)
    }

    package init(
        issuer: String, keys: any KeySource, documents: any DocumentSource, leeway: Duration,
        now: @escaping @Sendable () -> Instant, logger: Logger
    ) {
        origin = WebOrigin.of(issuer)
        self.keys = keys
        self.documents = documents
        self.leeway = leeway
        self.now = now
        self.logger = logger
    }

    public func status(at reference: StatusListReference) async throws -> UInt8? {
        let uri = reference.uri
        let instant = now()
        let (known, fetch) = state.withLock { entries -> (Entry?, Task<Void, any Error>?) in
            if let entry = entries[uri], instant < entry.freshUntil, instant >= entry.fetchedAt { return (entry, nil) }
            guard entries[uri] != nil || origin != nil && WebOrigin.of(uri) == origin else {
                return (nil, nil)
            }
            if let failedAt = entries[uri]?.failedAt, instant >= failedAt, instant - failedAt < Self.retryInterval {
                return (entries[uri], nil)
            }
            if entries[uri] == nil { Self.makeRoom(&entries, at: instant) }
            let fetch = startFetch(uri, &entries[uri, default: Entry()])
            let entry = entries[uri]!
            // While the issuer is away nobody waits for it, as long as the last list is good.
            let isGood = entry.list != nil && instant < entry.expiresAt && instant >= entry.fetchedAt
            let isLate = instant >= entry.freshUntil + Self.lateness
            return (entry, isGood && (entry.failedAt != nil || !isLate) ? nil : fetch)
        }
        guard let known else { return nil }
        var entry = known
        if let fetch {
            try? await fetch.value
            entry = state.withLock { $0[uri] } ?? known
        }
        guard let list = entry.list, now() < entry.expiresAt else {
            throw VerifierUnavailable("the status list \(uri) can't be had")
        }
        return reference.index < list.count ? list[reference.index] : nil
    }

    /// The fetch that is under way, or a new one.
    private func startFetch(_ uri: String, _ entry: inout Entry) -> Task<Void, any Error> {
        if let fetch = entry.fetch { return fetch }
        let entityTag = entry.list == nil ? nil : entry.entityTag
        let task = Task { try await fetch(uri, entityTag) }
        entry.fetch = task
        return task
    }

    private func fetch(_ uri: String, _ entityTag: String?) async throws {
        do {
            let document = try await documents.document(at: uri, entityTag: entityTag)
            let read: ListToken? = if let body = document.body { try await read(body, uri: uri) } else { nil }
            let instant = now()
            state.withLock { entries in
                guard var entry = entries[uri] else { return }
                if let read {
                    entry.list = read.list
                    entry.fetchedAt = instant
                    entry.freshUntil = read.freshUntil
                    entry.expiresAt = read.expiresAt
                    entry.entityTag = document.entityTag
                }
                entry.fetch = nil
                // The same again, though its time is over: not at every request.
                entry.failedAt = instant < entry.freshUntil ? nil : instant
                entries[uri] = entry
            }
        } catch {
            logger.warning("can't fetch a status list", metadata: ["uri": "\(uri)", "error": "\(error)"])
            let instant = now()
            state.withLock { entries in
                entries[uri]?.fetch = nil
                entries[uri]?.failedAt = instant
            }
            throw error
        }
    }

    /// Reads and verifies a status list token (Token Status List draft, sections 5.1 and 8.3).
    private func read(_ body: [UInt8], uri: String) async throws -> ListToken {
        let jws = try JWS(compact: body, maximumSize: Self.maximumSize)
        guard jws.header.type == "statuslist+jwt" else { throw JOSEError(.claimRefused, "not a status list token") }
        do {
            try jws.verify(with: try await keys.keys().set)
        } catch let error as JOSEError where error.code == .unknownKey {
            guard let newer = await keys.keysLookingAgain() else { throw error }
            try jws.verify(with: newer.set)
        }
        let claims = try JWTClaims(json: jws.payload)
        let instant = now()
        guard claims.subject?.isSpelt(uri) == true else { throw JOSEError(.claimRefused, "another list's token") }
        guard let issuedAt = claims.issuedAt, issuedAt <= instant + leeway else {
            throw JOSEError(.claimRefused, "a status list from the future")
        }
        guard let list = claims.members["status_list"]?.object else {
            throw JOSEError(.claimRefused, "a status list token without a list")
        }
        let ttl = claims.members["ttl"]?.integer.map { Duration.seconds(min(max($0, 0), 86_400)) }
        // Without ttl and exp a list is good until somebody needs it again.
        let expiresAt = claims.expiresAt ?? issuedAt + (ttl ?? .zero) + Self.lateness * 2
        guard instant < expiresAt else { throw JOSEError(.expired, "an expired status list") }
        return ListToken(
            // By a clock that is behind the issuer's it isn't kept for longer.
            list: try StatusList(list), freshUntil: min(min(issuedAt, instant) + (ttl ?? .zero), expiresAt),
            expiresAt: expiresAt)
    }

    /// Drops lists that nobody asked for in their time, and, where that isn't enough, some others.
    private static func makeRoom(_ entries: inout [String: Entry], at now: Instant) {
        guard entries.count >= maximumCount else { return }
        entries = entries.filter { $0.value.fetch != nil || $0.value.expiresAt > now }
        for uri in entries.keys.prefix(max(0, entries.count - maximumCount + 1)) { entries[uri] = nil }
    }
}
