internal import Storage

/// A table as it is copied: one row each of the schema's.
struct CopiedTable: Sendable {
    let name: String
    /// The first ones are the primary key.
    let columns: [String]
    let keyCount: Int
    /// Whether a new database has rows in it already.
    let isSeeded: Bool

    private init(_ name: String, key: [String], _ columns: [String], isSeeded: Bool = false) {
        self.name = name
        self.columns = key + columns
        keyCount = key.count
        self.isSeeded = isSeeded
    }

    /// Every table, those that others refer to first.
    static let all = [
        CopiedTable(
            "users", key: ["id"],
            ["name", "password_hash", "credential_version", "claims", "scopes", "created_at", "disabled_at"]),
        CopiedTable(
            "sessions", key: ["id"],
            [
                "user_id", "generation", "seed_hash", "scopes", "created_at", "advanced_at", "expires_at", "ended_at",
                "end_reason", "address", "user_agent", "status_list", "status_index", "tokens_until",
            ]),
        CopiedTable("status_lists", key: ["id"], ["size", "used", "leased", "created_at", "leased_at"]),
        CopiedTable("status_bits", key: ["list_id", "list_index"], ["change", "tokens_until"]),
        CopiedTable("status_changes", key: ["id"], ["number", "timeline"], isSeeded: true),
        CopiedTable(
            "audit", key: ["id"], ["time", "event", "actor", "subject", "session", "address", "outcome"]),
        CopiedTable("log_in_failures", key: ["id"], ["recovers_at"]),
        CopiedTable(
            "clients", key: ["id"],
            [
                "name", "authentication", "credential", "previous_credential", "scopes", "audiences", "algorithm",
                "token_lifetime", "permissions", "status_list", "status_index", "created_at", "rotated_at",
            ]),
        CopiedTable("client_assertions", key: ["id"], ["expires_at"]),
        CopiedTable("keys", key: ["id"], ["file"]),
        CopiedTable("key_changes", key: ["id"], ["number"], isSeeded: true),
        CopiedTable("known_keys", key: ["id"], ["created_at", "revoked_at"]),
    ]

    /// Hands out all rows, a page at a time.
    func read(_ connection: any Connection, pageSize: Int, _ body: ([[SQLValue]]) throws -> Void) throws {
        let key = columns.prefix(keyCount).joined(separator: ", ")
        let parameters = (1...keyCount).map { "$\($0)" }.joined(separator: ", ")
        let select = "SELECT \(columns.joined(separator: ", ")) FROM \(name)"
        var last: [SQLValue]?
        while true {
            let page = try connection.query(
                "\(select)\(last == nil ? "" : " WHERE (\(key)) > (\(parameters))") ORDER BY \(key) LIMIT \(pageSize)",
                last ?? []
            ).map(\.values)
            if !page.isEmpty { try body(page) }
            guard page.count == pageSize, let row = page.last else { return }
            last = Array(row.prefix(keyCount))
        }
    }

    func insert(_ rows: [[SQLValue]], _ connection: any Connection) throws {
        let width = columns.count
        let values = rows.indices.map { row in
            "(" + (1...width).map { "$\(row * width + $0)" }.joined(separator: ", ") + ")"
        }
        try connection.execute(
            "INSERT INTO \(name) (\(columns.joined(separator: ", "))) VALUES \(values.joined(separator: ", "))",
            rows.flatMap(\.self))
    }
}
