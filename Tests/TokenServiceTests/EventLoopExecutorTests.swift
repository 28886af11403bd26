import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

@testable import TokenService

@Suite("A service on the event loops")
struct EventLoopExecutorTests {
    @Test("stays on the loop that it begins on, and so do the tasks that it begins there")
    func sameLoop() async throws {
        try await OnEventLoops(service: Probe()).run()
    }

    private struct Probe: Service {
        func run() async throws {
            let loop = try #require(current)
            await Task.yield()
            #expect(current === loop)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<3 { group.addTask { #expect(current === loop) } }
            }
        }

        private var current: (any EventLoop)? { MultiThreadedEventLoopGroup.currentEventLoop }
    }
}
