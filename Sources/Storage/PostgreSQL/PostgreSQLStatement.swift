internal import CPostgreSQL

/// A statement with its parameters.
struct PostgreSQLStatement {
    let key: Key
    let parameters: BoundParameters

    init(_ sql: String, _ parameters: BoundParameters = BoundParameters()) {
        key = Key(sql: sql, types: parameters.types)
        self.parameters = parameters
    }

    /// What it is prepared for.
    struct Key: Hashable {
        let sql: String
        let types: [Oid]

        /// Made of the text and the types of the parameters: a pooler that mixes its clients' statements up then knows
        /// either this one by the name or none.
        var name: String { "s\(hash(0xCBF2_9CE4_8422_2325))\(hash(0x6C62_272E_07BB_0142))" }

        /// FNV-1a, as good as it has to be for texts of our own.
        private func hash(_ basis: UInt64) -> String {
            let text = types.map { "\($0)," }.joined() + sql
            return String(text.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, radix: 16)
        }
    }
}

/// What is known of a transaction.
struct PostgreSQLTransaction {
    /// Begins it, and is sent with its first statement.
    var opening: [PostgreSQLStatement] = []
    /// Whether its first statement is the last one, too: then it is committed with it.
    var isOneStatement = false
    /// What one of its statements failed with; none is sent after that.
    var failure: PostgreSQLFailure?
}
