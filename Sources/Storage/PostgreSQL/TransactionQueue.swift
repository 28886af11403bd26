internal import Foundation

/// A transaction that hasn't started yet: `run` does its statements and returns what to call after the commit.
struct WaitingTransaction: Sendable {
    let isWrite: Bool
    /// Whether it has one statement, which does no harm when it is run once more after it was done.
    let isOneStatement: Bool
    /// Until when it waits for a connection.
    let deadline: ContinuousClock.Instant
    let run: @Sendable (any Connection) throws -> @Sendable () -> Void
    let fail: @Sendable (any Error) -> Void
}

/// The transactions that wait for a connection.
final class TransactionQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var waiting: ArraySlice<WaitingTransaction> = []
    private var isClosed = false
    private var connections = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    private static let closed = StorageError(.unavailable, "the database was closed")
    private static let overloaded = StorageError(.unavailable, "too many transactions wait for the database")

    private func locked<Value>(_ body: () -> Value) -> Value {
        condition.lock()
        defer { condition.unlock() }
        return body()
    }

    func append(_ transaction: WaitingTransaction) {
        let refusal: StorageError? = locked {
            if isClosed { return Self.closed }
            guard waiting.count < limit else { return Self.overloaded }
            waiting.append(transaction)
            condition.signal()
            return nil
        }
        if let refusal { transaction.fail(refusal) }
    }

    /// The next one, as soon as there is one; `nil` once the queue is closed.
    func next() -> WaitingTransaction? {
        locked {
            while waiting.isEmpty, !isClosed { condition.wait() }
            return waiting.popFirst()
        }
    }

    /// Takes back one that a connection can't do, where others can.
    ///
    /// - Returns: whether there are others.
    func takeBack(_ transaction: WaitingTransaction) -> Bool {
        locked {
            guard connections > 0, !isClosed, ContinuousClock.now < transaction.deadline else { return false }
            waiting = [transaction] + waiting
            condition.signal()
            return true
        }
    }

    /// Counts the connections that are there.
    func count(_ change: Int) { locked { connections += change } }

    func failExpired() {
        let now = ContinuousClock.now
        let expired: ArraySlice<WaitingTransaction> = locked {
            // All wait for as long, so the oldest are in front.
            let count = waiting.prefix { $0.deadline <= now }.count
            let expired = waiting.prefix(count)
            waiting = waiting.dropFirst(count)
            return expired
        }
        for transaction in expired { transaction.fail(Self.overloaded) }
    }

    func close() {
        let refused: ArraySlice<WaitingTransaction> = locked {
            isClosed = true
            condition.broadcast()
            defer { waiting = [] }
            return waiting
        }
        for transaction in refused { transaction.fail(Self.closed) }
    }
}
