import Foundation
import Hummingbird
import HummingbirdTokenVerifier
import TokenVerifier

/// The claims that this service looks at.
struct Plan: Decodable, Sendable {
    let plan: String?
    let premium: Bool?
}

struct Context: TokenRequestContext {
    var coreContext: CoreRequestContextStorage
    var token: VerifiedToken<Plan>?

    init(source: Source) { coreContext = .init(source: source) }
}

@main
struct Microservice {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let issuer = environment["ISSUER"] ?? "http://127.0.0.1:8080"
        let verifier = try TokenVerifier<Plan>(issuer: issuer, audience: environment["AUDIENCE"] ?? issuer)

        let router = Router(context: Context.self)
        let protected = router.group().add(middleware: TokenMiddleware(verifier))
        protected.get("me") { _, context in
            // The claims as the token spells them.
            ByteBuffer(bytes: try context.requireToken().payload)
        }
        protected.group("premium").add(middleware: RequireScopes("read")).get { _, context in
            let token = try context.requireToken()
            return "hello \(token.subject), your plan is \(token.custom.plan ?? "none")"
        }
        let port = environment["PORT"].flatMap { Int($0) } ?? 9000
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)),
            onServerRunning: { _ in
                FileHandle.standardOutput.write(Data("listening on http://127.0.0.1:\(port)\n".utf8))
            })
        try await application.runService()
    }
}
