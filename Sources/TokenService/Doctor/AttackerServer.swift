internal import Hummingbird
internal import HummingbirdCore
internal import JOSE
internal import Logging
internal import NIOCore

/// Where the headers of some attacks point to: it answers the attacker's keys, and knows who asked for them. A verifier that
/// asks has been led astray, whatever it does then.
struct AttackerServer: Sendable {
    let url: String
    private let state: Locked<State>

    private struct State {
        var keys: [UInt8] = []
        var requestCount = 0
    }

    /// What is answered from now on.
    func answer(_ keys: [UInt8]) { state.withLock { $0.keys = keys } }

    var requestCount: Int { state.withLock { $0.requestCount } }

    /// Runs one on a free port of this machine while `body` runs.
    static func run<Result: Sendable>(
        _ body: @Sendable @escaping (AttackerServer) async throws -> Result
    ) async throws -> Result {
        let state = Locked(State())
        let router = Router()
        router.get("jwks.json") { _, _ in
            let keys = state.withLock { state in
                state.requestCount += 1
                return state.keys
            }
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: keys)))
        }
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) },
            logger: Logger(label: "doctor") { _ in SwiftLogNoOpLogHandler() })
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                try await application.run()
                return nil
            }
            group.addTask {
                var iterator = ports.makeAsyncIterator()
                let port = await iterator.next() ?? 0
                return try await body(AttackerServer(url: "http://127.0.0.1:\(port)/jwks.json", state: state))
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw ServiceError(.failed, "the attacker's end can't be started")
        }
    }
}
