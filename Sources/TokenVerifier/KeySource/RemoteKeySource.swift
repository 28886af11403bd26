internal import Foundation
package import JOSE
public import Logging

/// The key set of an issuer elsewhere, fetched over HTTP and kept as long as it says.
///
/// One fetch is under way at a time, however many wait for it. A set is fetched anew in the background before its time is
/// up; while the issuer can't be reached the last one serves on, for ``KeyCachePolicy/serveStale`` at the most.
public final class RemoteKeySource: KeySource {
    private let location: Location
    private let documents: any DocumentSource
    private let policy: KeyCachePolicy
    private let now: @Sendable () -> Instant
    private let logger: Logger
    private let state = Locked(State())

    private enum Location: Sendable {
        case url(String)
        case issuer(IssuerMetadata)
    }

    private struct State {
        var keys: PublishedKeys?
        var entityTag: String?
        /// When the set was last known to be the issuer's.
        var confirmedAt = Instant(microseconds: 0)
        var maxAge = Duration.zero
        var fetch: Task<PublishedKeys, any Error>?
        var failure: (at: Instant, error: any Error)?
        /// When a token with an unknown key last had it look again.
        var lookedAgainAt: Instant?
    }

    /// The keys of an issuer whose metadata (RFC 8414) say where they are.
    ///
    /// - Parameters:
    ///   - issuer: its URL, as its tokens and its metadata spell it.
    ///   - policy: how long keys are kept.
    ///   - logger: is told of fetches that failed.
    /// - Throws: ``VerifierUnavailable`` for a URL that isn't https, unless it leads to this machine.
    public convenience init(
        issuer: String, policy: KeyCachePolicy = KeyCachePolicy(), logger: Logger = Logger(label: "token-verifier")
    ) throws {
        try HTTPDocuments.check(issuer)
        let documents = HTTPDocuments()
        self.init(
            .issuer(IssuerMetadata(issuer: issuer, documents: documents)), documents, policy, now: systemClock, logger)
    }

    /// The keys behind a URL.
    ///
    /// - Parameters:
    ///   - url: of the JWKS.
    ///   - policy: how long keys are kept.
    ///   - logger: is told of fetches that failed.
    /// - Throws: ``VerifierUnavailable`` for a URL that isn't https, unless it leads to this machine.
    public convenience init(
        url: String, policy: KeyCachePolicy = KeyCachePolicy(), logger: Logger = Logger(label: "token-verifier")
    ) throws {
        try HTTPDocuments.check(url)
        self.init(url: url, documents: HTTPDocuments(), policy: policy, now: systemClock, logger: logger)
    }

    package convenience init(
        url: String, documents: any DocumentSource, policy: KeyCachePolicy, now: @escaping @Sendable () -> Instant,
        logger: Logger
    ) {
        self.init(.url(url), documents, policy, now: now, logger)
    }

    private init(
        _ location: Location, _ documents: any DocumentSource, _ policy: KeyCachePolicy,
        now: @escaping @Sendable () -> Instant, _ logger: Logger
    ) {
        self.location = location
        self.documents = documents
        self.policy = policy
        self.now = now
        self.logger = logger
    }

    /// What becomes of a call.
    private enum Plan {
        case ready(PublishedKeys)
        /// The fetch under way has the answer; where it fails, the last set may serve on.
        case wait(Task<PublishedKeys, any Error>, lastSet: PublishedKeys?)
    }

    public func keys() async throws -> PublishedKeys {
        switch try state.withLock({ try plan(&$0, at: now()) }) {
        case .ready(let keys): return keys
        case .wait(let fetch, let lastSet):
            do {
                return try await fetch.value
            } catch {
                guard let lastSet else { throw error }
                return lastSet
            }
        }
    }

    private func plan(_ state: inout State, at now: Instant) throws -> Plan {
        let age = now - state.confirmedAt
        let lastSet = age >= .zero && age < state.maxAge + policy.serveStale ? state.keys : nil
        if let lastSet, age < state.maxAge {
            // Some time before it is up, so that no request has to wait.
            if age >= state.maxAge * 4 / 5, !hasJustFailed(state, at: now) { _ = startFetch(&state) }
            return .ready(lastSet)
        }
        guard let failure = state.failure else { return .wait(startFetch(&state), lastSet: lastSet) }
        let hasJustFailed = hasJustFailed(state, at: now)
        // While the issuer is away nobody waits for it, as long as the last set serves.
        if let lastSet {
            if !hasJustFailed { _ = startFetch(&state) }
            return .ready(lastSet)
        }
        guard hasJustFailed else { return .wait(startFetch(&state), lastSet: nil) }
        throw failure.error
    }

    private func hasJustFailed(_ state: State, at now: Instant) -> Bool {
        state.failure.map { now >= $0.at && now - $0.at < policy.retryInterval } ?? false
    }

    public func keysLookingAgain() async -> PublishedKeys? {
        let now = now()
        let task = state.withLock { state -> Task<PublishedKeys, any Error>? in
            if let fetch = state.fetch { return fetch }
            if let last = state.lookedAgainAt, now >= last, now - last < policy.unknownKeyInterval { return nil }
            guard !hasJustFailed(state, at: now) else { return nil }
            state.lookedAgainAt = now
            return startFetch(&state)
        }
        return try? await task?.value
    }

    /// The fetch that is under way, or a new one.
    private func startFetch(_ state: inout State) -> Task<PublishedKeys, any Error> {
        if let fetch = state.fetch { return fetch }
        let (keys, entityTag) = (state.keys, state.entityTag)
        let task = Task { try await fetch(keys, entityTag) }
        state.fetch = task
        return task
    }

    private func fetch(_ known: PublishedKeys?, _ entityTag: String?) async throws -> PublishedKeys {
        do {
            let url =
                switch location {
                case .url(let url): url
                case .issuer(let metadata): try await metadata.jwksURL()
                }
            let document = try await documents.document(at: url, entityTag: known == nil ? nil : entityTag)
            guard let keys = try document.body.map({ PublishedKeys(try JWKSet(json: $0)) }) ?? known else {
                throw VerifierUnavailable("\(url) answers 304 to who has no copy")
            }
            state.withLock { state in
                state.keys = keys
                state.entityTag = document.entityTag
                state.confirmedAt = now()
                state.maxAge = min(
                    max(document.maxAge ?? policy.defaultMaxAge, policy.minimumMaxAge), policy.maximumMaxAge)
                state.fetch = nil
                state.failure = nil
            }
            return keys
        } catch {
            let error = error as? VerifierUnavailable ?? VerifierUnavailable("the key set can't be read: \(error)")
            logger.warning("can't fetch the issuer's keys", metadata: ["error": "\(error)"])
            state.withLock { state in
                state.fetch = nil
                state.failure = (now(), error)
            }
            throw error
        }
    }
}

/// How long fetched keys are kept, and how often they are asked for.
public struct KeyCachePolicy: Sendable {
    /// How long a set is kept whose answer doesn't say.
    public var defaultMaxAge = Duration.seconds(300)
    /// A shorter time in an answer counts as this.
    public var minimumMaxAge = Duration.seconds(10)
    /// A longer time in an answer counts as this: a revoked key must not live on for long.
    public var maximumMaxAge = Duration.seconds(3600)
    /// How long a set serves on after its time while the issuer can't be reached.
    public var serveStale = Duration.seconds(3600)
    /// How long after a fetch that failed the next is tried.
    public var retryInterval = Duration.seconds(5)
    /// How often tokens with unknown keys may have it look again, however many there are.
    public var unknownKeyInterval = Duration.seconds(10)

    /// The default of each.
    public init() {}
}

/// The clock of the machine.
package let systemClock: @Sendable () -> Instant = { Instant(Date()) }
