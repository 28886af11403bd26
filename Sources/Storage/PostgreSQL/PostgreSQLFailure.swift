/// What the server, or the way to it, said no with.
struct PostgreSQLFailure: Error {
    /// The SQLSTATE; empty where the connection is gone.
    let state: String
    let message: String

    /// Another try of the whole transaction may succeed: two were in each other's way.
    var isConflict: Bool { ["40001", "40P01"].contains(state) }

    /// A pooler handed the transaction to a server that doesn't know the statement, or knows the name for another one.
    var isForgottenStatement: Bool { ["26000", "42P05"].contains(state) }

    /// The connection is of no use any more: it is gone, or the server goes down.
    var isOfConnection: Bool { state.isEmpty || state.hasPrefix("08") || state.hasPrefix("57P") }

    /// A write in a transaction that reads, or at a server that has become a replica.
    var isReadOnly: Bool { state == "25006" }

    /// As callers see it, without values of the statement.
    var storageError: StorageError {
        if state == "23505" { return StorageError(.alreadyThere, "a row with the same key is there already") }
        if isOfConnection || isReadOnly || state.hasPrefix("53") || isConflict || ["57014", "55P03"].contains(state) {
            return StorageError(.unavailable, "the database can't be used: \(message)")
        }
        // What is wrong with data is told with the data.
        let reason = state.hasPrefix("22") ? "SQLSTATE \(state)" : message
        return StorageError(.unexpected, "the database refused a statement: \(reason)")
    }
}
