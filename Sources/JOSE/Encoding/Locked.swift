internal import Foundation

/// A value that is reached under a lock only.
///
/// `Synchronization.Mutex` would do, but the thread sanitizer doesn't know it and reports races that aren't there.
package final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    package init(_ value: sending Value) { self.value = value }

    /// Runs `body` while nobody else does. It must not wait for anything.
    package func withLock<Result>(_ body: (inout Value) throws -> sending Result) rethrows -> sending Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}
