internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle

/// Runs tasks on the event loops: those of a connection on the one that reads it, so that no request is handed from thread to
/// thread. Nothing that runs on it may block.
final class EventLoopExecutor: TaskExecutor {
    private let loops: MultiThreadedEventLoopGroup

    init(_ loops: MultiThreadedEventLoopGroup) { self.loops = loops }

    func enqueue(_ job: consuming ExecutorJob) {
        // To be run exactly once: a loop does that with what it is given unless it is shut down, and those of
        // `.singleton` never are.
        let job = UnownedJob(job)
        let loop: any EventLoop = MultiThreadedEventLoopGroup.currentEventLoop ?? loops.next()
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// A service whose tasks, and their child tasks, run on the event loops.
struct OnEventLoops<Wrapped: Service>: Service {
    let service: Wrapped

    func run() async throws {
        try await withTaskExecutorPreference(EventLoopExecutor(.singleton)) { try await service.run() }
    }
}
