internal import CoreMetrics
internal import HummingbirdCore

/// Takes connections as long as there is room for them; further ones wait in the kernel's queue.
struct ConnectionLimit: AvailableConnectionsDelegate {
    let maximum: Int
    let metrics: ServiceMetrics
    private var count = 0

    init(maximum: Int, metrics: ServiceMetrics) {
        self.maximum = maximum
        self.metrics = metrics
    }

    mutating func connectionOpened() {
        count += 1
        metrics.connections.set(count)
    }

    mutating func connectionClosed() {
        count -= 1
        metrics.connections.set(count)
    }

    func isAcceptingNewConnections() -> Bool { count < maximum }
}
