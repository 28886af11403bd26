internal import JOSE

/// The clients as a node knows them: read from the database, and kept for a second.
///
/// A client that was removed or whose tokens were ended may get tokens from another node for as long, but those name a bit
/// that is set already.
final class ClientDirectory: Sendable {
    let store: ClientStore
    private let indexes: StatusIndexes
    private let statusLists: StatusLists
    private let audit: AuditLog
    private let now: @Sendable () -> Instant
    private let state = Locked(State())

    private struct State {
        var clients: [String: Entry] = [:]
        /// How often a client was forgotten: what was read before that isn't kept.
        var changes = 0
    }

    private struct Entry {
        let client: Client
        let readAt: Instant
    }

    /// How long a client is kept.
    private static let freshness = Duration.seconds(1)
    private static let maximumCount = 10_000

    init(
        store: ClientStore, indexes: StatusIndexes, statusLists: StatusLists, audit: AuditLog,
        now: @escaping @Sendable () -> Instant
    ) {
        self.store = store
        self.indexes = indexes
        self.statusLists = statusLists
        self.audit = audit
        self.now = now
    }

    /// The client with an id that shows who it is; `nil` where there is none. A credential that a client got a moment ago
    /// counts at once.
    ///
    /// - Parameter isAuthentic: whether a client is the one that makes the request.
    func client(_ id: String, where isAuthentic: (Client) throws -> Bool) async throws -> Client? {
        guard let client = try await client(id) else { return nil }
        if try isAuthentic(client) { return client }
        guard let client = try await self.client(id, again: true), try isAuthentic(client) else { return nil }
        return client
    }

    /// - Parameter again: to ask the database though it was asked a moment ago.
    private func client(_ id: String, again: Bool = false) async throws -> Client? {
        // Whoever makes ids up, and thousands of combining marks, costs no query.
        guard id.utf8.count == 22, id.isASCII else { return nil }
        let instant = now()
        let (known, changes) = state.withLock { ($0.clients[id], $0.changes) }
        if !again, let known, instant >= known.readAt, instant - known.readAt < Self.freshness { return known.client }
        guard let client = try await store.client(id: id) else {
            // Ids that are made up mustn't keep others from being kept.
            if known != nil { forget(id) }
            return nil
        }
        keep(client, readAt: instant, ifUnchangedSince: changes)
        return client
    }

    private func keep(_ client: Client, readAt: Instant, ifUnchangedSince changes: Int) {
        state.withLock { state in
            guard state.changes == changes else { return }
            if state.clients.count >= Self.maximumCount { state.clients = [:] }
            state.clients[client.id] = Entry(client: client, readAt: readAt)
        }
    }

    private func forget(_ id: String) {
        state.withLock { state in
            state.clients[id] = nil
            state.changes += 1
        }
    }

    /// The place of a client in the status lists; with its first token it gets one.
    ///
    /// - Returns: `nil` where the client is gone, or has other credentials only.
    func status(of client: Client) async throws -> StatusReference? {
        if let status = client.status { return status }
        let (instant, changes) = (now(), state.withLock { $0.changes })
        let assigned = try await store.assign(try await indexes.next(), to: client)
        guard let assigned else {
            forget(client.id)
            return nil
        }
        keep(assigned, readAt: instant, ifUnchangedSince: changes)
        return assigned.status
    }

    /// Ends the tokens of a client that name a place.
    func endTokens(naming status: StatusReference, of id: String, by actor: AuditActor) async throws {
        let record = AuditRecord(.clientTokensRevoked, by: actor, subject: id, at: now())
        let ending = try await store.endTokens(naming: status, id: id, audit: record)
        forget(id)
        guard let ending else { return }
        statusLists.set(ending.bits)
        audit.tell(ending.record)
    }
}
