public import JOSE
internal import Logging
public import Storage

/// Something that somebody did, or was refused.
public struct AuditRecord: Sendable {
    /// Everything that is recorded.
    public enum Event: String, Sendable, CaseIterable {
        case logIn = "log_in"
        case refresh
        case logOut = "log_out"
        case logOutEverywhere = "log_out_everywhere"
        case sessionEnded = "session_ended"
        case sessionsRevoked = "sessions_revoked"
        case passwordChanged = "password_changed"
        case passwordSet = "password_set"
        case userAdded = "user_added"
        case claimsSet = "claims_set"
        case userDisabled = "user_disabled"
        case userEnabled = "user_enabled"
        case userRemoved = "user_removed"
        case userImport = "users_imported"
        case userExport = "users_exported"
        case keyMade = "key_made"
        case keyRotated = "key_rotated"
        case keyRevoked = "key_revoked"
        case keyImported = "key_imported"
        case keysPruned = "keys_pruned"
        case keysReencrypted = "keys_reencrypted"
        case keysMigrated = "keys_migrated"
        case clientAdded = "client_added"
        case clientCredentialRotated = "client_credential_rotated"
        case clientTokensRevoked = "client_tokens_revoked"
        case clientRemoved = "client_removed"
    }

    /// How it ended.
    public enum Outcome: String, Sendable {
        case success
        /// A name or a password that isn't right, or a user or a session that may not.
        case refused
        /// A used refresh token came back: its session was ended.
        case reused
        /// A refresh token was ahead of its session: the database had gone back in time.
        case ahead
    }

    public let time: Instant
    public let event: Event
    /// Who did it: the id of a user or a client, `operator:NAME` for a command, `service` for the service by itself.
    public let actor: String?
    /// Whom or what it was done to: the id of a user or a client, the `kid` of a key.
    public let subject: String?
    /// The session that it was done in or to.
    public let session: String?
    /// Where the request came from.
    public let address: String?
    public let outcome: Outcome

    public init(
        _ event: Event, _ outcome: Outcome = .success, by actor: AuditActor, subject: String? = nil,
        session: String? = nil, at time: Instant
    ) {
        self.time = time
        self.event = event
        self.actor = actor.name
        self.subject = subject
        self.session = session
        address = actor.address
        self.outcome = outcome
    }

    /// The fields as they are printed.
    public var members: JSONObject {
        func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
        return [
            "time": .string(time.description), "event": .string(event.rawValue), "actor": text(actor),
            "subject": text(subject), "session": text(session), "address": text(address),
            "outcome": .string(outcome.rawValue),
        ]
    }

    /// Stores the record in the transaction of what it tells.
    func insert(in connection: any Connection) throws {
        try connection.execute(
            """
            INSERT INTO audit (id, time, event, actor, subject, session, address, outcome)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(Base64URL.encode(try randomBytes(16))), .integer(time.microseconds), .text(event.rawValue),
                .text(actor), .text(subject), .text(session), .text(address), .text(outcome.rawValue),
            ])
    }
}

/// Who does something, and from where.
public struct AuditActor: Sendable {
    let name: String?
    let address: String?

    /// A user; `nil` where it isn't known who.
    static func user(_ id: String?, address: String?) -> AuditActor { AuditActor(name: id, address: address) }

    /// A machine client.
    static func client(_ id: String, address: String?) -> AuditActor { AuditActor(name: id, address: address) }

    /// Somebody at the command line.
    public static func operatorNamed(_ name: String) -> AuditActor {
        AuditActor(name: "operator:" + name, address: nil)
    }

    /// The service by itself.
    static let service = AuditActor(name: "service", address: nil)
}

/// The audit log in the database: it is only ever appended to, until records are older than `audit-retention`.
public struct AuditLog: Sendable {
    private let database: any Database
    private let logger: Logger?
    private let metrics: ServiceMetrics

    /// The log of a command, which tells nobody else.
    public init(database: any Database) { self.init(database: database, logger: nil, metrics: .none) }

    /// - Parameters:
    ///   - logger: gets a line for each record; `nil` for none.
    ///   - metrics: count the records.
    init(database: any Database, logger: Logger?, metrics: ServiceMetrics) {
        self.database = database
        self.logger = logger
        self.metrics = metrics
    }

    /// Stores a record of its own.
    public func write(_ record: AuditRecord) async throws {
        try await database.write { try record.insert(in: $0) }
        tell(record)
    }

    /// Writes a record that was stored to the program's log.
    func tell(_ record: AuditRecord) {
        metrics.recorded(record.event, record.outcome)
        guard let logger else { return }
        var metadata: Logger.Metadata = [:]
        for member in record.members.members where member.name != "time" {
            metadata[member.name] = member.value.string.map { "\($0)" }
        }
        logger.log(level: record.outcome == .success ? .info : .warning, "audit", metadata: metadata)
    }

    /// The records since an instant, the oldest first.
    public func records(since instant: Instant) async throws -> [JSONObject] {
        try await database.read { connection in
            try connection.query(
                """
                SELECT time, event, actor, subject, session, address, outcome FROM audit
                WHERE time >= $1 ORDER BY time, id
                """, [.integer(instant.microseconds)]
            ).map { row in
                func text(_ name: String) throws -> JSONValue {
                    try row.optionalText(name).map { .string($0) } ?? .null
                }
                let time = Instant(microseconds: try row.integer("time"))
                return [
                    "time": .string(time.description), "event": try text("event"), "actor": try text("actor"),
                    "subject": try text("subject"), "session": try text("session"), "address": try text("address"),
                    "outcome": try text("outcome"),
                ]
            }
        }
    }

    /// Forgets records from before an instant, some at a time.
    ///
    /// - Returns: whether there may be more.
    func removeRecords(before instant: Instant) async throws -> Bool {
        try await database.write { connection in
            try connection.execute(
                "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time < $1 LIMIT 1000)",
                [.integer(instant.microseconds)]) == 1000
        }
    }
}
