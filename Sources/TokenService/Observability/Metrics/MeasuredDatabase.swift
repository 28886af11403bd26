internal import CoreMetrics
internal import Storage

/// A database whose transactions are counted and timed, waiting included.
struct MeasuredDatabase: Database {
    let base: any Database
    let metrics: ServiceMetrics

    private func measure<Result>(_ access: ServiceMetrics.DatabaseAccess, _ body: () async throws -> Result)
        async throws
        -> Result
    {
        let began = ContinuousClock.now
        metrics.activeTransactions.increment()
        defer {
            metrics.activeTransactions.decrement()
            metrics.transacted(access, in: .now - began)
        }
        do { return try await body() } catch let error as StorageError {
            metrics.failed(error)
            throw error
        }
    }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any Connection) throws -> Result) async throws -> Result {
        try await measure(.read) { try await base.read(body) }
    }

    func write<Result: Sendable>(_ body: @escaping @Sendable (any Connection) throws -> Result) async throws -> Result {
        try await measure(.write) { try await base.write(body) }
    }

    func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row] {
        try await measure(.write) { try await base.write(sql, parameters) }
    }

    func changes(at url: String?) -> AsyncStream<Void> { base.changes(at: url) }

    func close() throws { try base.close() }
}
