internal import CPostgreSQL
internal import Foundation

/// Hears of changes on a connection of its own, which a pooler must not be in the way of.
final class PostgreSQLListener: Sendable {
    /// Several announcements may be one.
    let changes: AsyncStream<Void>

    static let channel = "token_service"
    /// How long a connection waits before it is looked after.
    private static let pause: Int32 = 1000

    init(url: String) {
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.changes = changes
        let isOver = StopSign()
        continuation.onTermination = { _ in isOver.set() }
        let thread = Thread {
            var backOff = BackOff()
            while !isOver.isSet {
                do {
                    try backOff.check()
                    let connection = try PostgreSQLConnection(url: url, prepares: false)
                    try connection.execute("LISTEN \(Self.channel)")
                    backOff = BackOff()
                    // What was announced while nobody listened.
                    continuation.yield()
                    while !isOver.isSet {
                        if try connection.waitForNotification(milliseconds: Self.pause) { continuation.yield() }
                    }
                } catch let error as StorageError {
                    backOff.fail(error)
                } catch {
                    backOff.fail(StorageError(.unavailable, "the connection is gone"))
                }
                // Polling goes on meanwhile.
                if !isOver.isSet { Thread.sleep(forTimeInterval: 0.1) }
            }
        }
        thread.name = "postgresql-listen"
        thread.start()
    }

    private final class StopSign: @unchecked Sendable {
        private let lock = NSLock()
        private var value = false

        var isSet: Bool { lock.withLock { value } }
        func set() { lock.withLock { value = true } }
    }
}
