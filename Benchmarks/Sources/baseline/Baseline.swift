internal import Foundation
internal import Hummingbird
internal import JOSE
internal import Logging
internal import TokenService

/// Serves what scripts/load compares the service with: the same answers from Hummingbird, with no work behind them but a
/// signature.
@main
struct Baseline {
    static func main() async throws {
        guard CommandLine.arguments.count == 2 else {
            FileHandle.standardError.write(Data("usage: baseline ROUTES.json\n".utf8))
            exit(64)
        }
        let file = URL(fileURLWithPath: CommandLine.arguments[1])
        let routes = try JSONDecoder().decode(Routes.self, from: Data(contentsOf: file))
        // As the service has them: Hummingbird keeps a number for each request in its logger.
        var logger = Logger(label: "baseline") { LogFormat.json.handler(label: $0, level: .info) }
        logger.logLevel = .warning
        let application = Application(
            router: try routes.router(), configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                let line = "listening on http://127.0.0.1:\(channel.localAddress?.port ?? 0)\n"
                FileHandle.standardOutput.write(Data(line.utf8))
            },
            logger: logger)
        try await application.runService()
    }
}
