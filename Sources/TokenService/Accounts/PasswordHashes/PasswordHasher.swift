internal import CoreMetrics
internal import JOSE
internal import NIOPosix

/// Hashes and checks passwords on a few threads of its own; who comes when the queue is full is told so.
public final class PasswordHasher: Sendable {
    private let cost: PasswordCost
    private let pool: NIOThreadPool
    private let pending = Locked(0)
    /// How many may be at work or wait.
    let maximumPending: Int
    private let metrics: ServiceMetrics
    /// Checked where there is no user at all, so that this takes as long.
    private let decoy: PasswordHash

    /// How many may wait for each thread: about a second's worth.
    private static let queueDepth = 20

    /// - Parameter concurrency: how many passwords are checked at once.
    public convenience init(cost: PasswordCost, concurrency: Int) {
        self.init(cost: cost, concurrency: concurrency, metrics: .none)
    }

    init(cost: PasswordCost, concurrency: Int, metrics: ServiceMetrics) {
        self.cost = cost
        self.metrics = metrics
        maximumPending = concurrency * (1 + Self.queueDepth)
        decoy = .decoy(cost: cost)
        pool = NIOThreadPool(numberOfThreads: concurrency)
        pool.start()
    }

    deinit { pool.shutdownGracefully { _ in } }

    /// The queue is full.
    struct Overloaded: Error {}

    private func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        let hasRoom = pending.withLock {
            guard $0 < maximumPending else { return false }
            $0 += 1
            return true
        }
        guard hasRoom else {
            metrics.refusedPassword()
            throw Overloaded()
        }
        let began = ContinuousClock.now
        metrics.passwordQueue.increment()
        defer {
            pending.withLock { $0 -= 1 }
            metrics.passwordQueue.decrement()
            metrics.checkedPassword(in: .now - began)
        }
        return try await pool.runIfActive(body)
    }

    /// Hashes a prepared password.
    func hash(_ password: String) async throws -> String {
        let cost = cost
        return try await run { try PasswordHash.make(password, cost: cost).text }
    }

    /// Whether a prepared password is a user's. Without a user, it works as hard and says no.
    ///
    /// - Parameter decoy: the hash that is worked on without a user; where there is none either, one of today's cost is.
    func verify(_ password: String, hash: String?, decoy: String? = nil) async throws -> Bool {
        let stored = hash.flatMap { try? PasswordHash($0) }
        let checked = stored ?? decoy.flatMap { try? PasswordHash($0) } ?? self.decoy
        return try await run { try checked.matches(password) && stored != nil }
    }

    /// Whether a stored hash should be made anew with today's cost.
    ///
    /// - Parameter password: a prepared one that matches. Where the hash sees a part of it only, the rest may have been
    ///   mistyped, and mustn't become part of the password.
    func shouldRehash(_ hash: String, of password: String) -> Bool {
        guard let hash = try? PasswordHash(hash) else { return false }
        return !hash.isMade(at: cost) && hash.sees(all: password)
    }
}
