internal import Foundation
internal import Hummingbird
internal import JOSE
internal import KeyService
internal import Logging
internal import TokenService
internal import TokenVerifier

/// A token service of ES256 and RS256 as its parts see it: keys in a folder, and an HTTP server on this machine for what it
/// publishes, so that verifiers run as they do elsewhere.
final class Issuer: Sendable {
    let url: String
    /// The private halves: what the C loop, cjose and jwt-kit sign with.
    let privateKeys: [Algorithm: PrivateKey]
    private let keys: KeyService
    private let folder: URL

    static let tokenLifetime = Duration.seconds(3600)
    private static let statusList = "benchmark"

    static func start() async throws -> Issuer {
        let documents = Documents()
        let router = Router()
        for path in Documents.paths {
            router.get(RouterPath(path)) { _, _ in
                Response(
                    status: .ok, headers: [.cacheControl: "max-age=86400"],
                    body: .init(byteBuffer: ByteBuffer(bytes: await documents.bodies[path] ?? [])))
            }
        }
        let (ports, port) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: quiet)
        Task { try await application.run() }
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next() else { throw WorkFailed("no port to serve on") }
        let issuer = try await Issuer(url: "http://127.0.0.1:\(port)")
        await documents.publish(try issuer.documents())
        return issuer
    }

    static let quiet = Logger(label: "benchmarks") { _ in SwiftLogNoOpLogHandler() }

    private init(url: String) async throws {
        self.url = url
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("benchmarks-\(UUID())")
        let privateKeys: [Algorithm: PrivateKey] = [
            .es256: try .generate(for: .es256), .rs256: try .generate(for: .rs256),
        ]
        self.privateKeys = privateKeys
        let secret = try MasterSecret(text: String(repeating: "0123456789abcdef", count: 4))
        keys = try await KeyService(
            store: try FolderKeyStore(path: folder.path, secret: secret),
            planner: KeyPlanner(
                schedule: KeySchedule(tokenLifetime: Self.tokenLifetime),
                makeKey: { algorithm, _ in
                    guard let key = privateKeys[algorithm] else { throw WorkFailed("no key for \(algorithm)") }
                    return key
                }),
            now: { Instant(Date()) }, logger: Self.quiet)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Lets the keys go on signing, as a server does once a second.
    func refresh() async throws { try await keys.refresh() }

    func logIns(_ algorithm: Algorithm) -> LogInWork {
        LogInWork(
            issuer: url, keys: keys, algorithm: algorithm, lifetime: Self.tokenLifetime, statusList: Self.statusList)
    }

    private func documents() throws -> [String: [UInt8]] {
        let view = try keys.current()
        guard let signer = view.signingKey?.statusLists else { throw WorkFailed("no key to sign with") }
        let now = Instant(Date()).seconds
        let claims: JSONObject = [
            "sub": .string(url + Documents.statusList), "iat": .integer(now), "exp": .integer(now + 86_400),
            "ttl": 86_400, "status_list": .object(StatusList(count: 8192).members),
        ]
        let metadata: JSONObject = ["issuer": .string(url), "jwks_uri": .string(url + Documents.keys)]
        return [
            Documents.keys: view.jwks, Documents.statusList: Array(try signer.sign(claims.json).utf8),
            Documents.metadata: metadata.json,
        ]
    }

    /// What the server answers with.
    private actor Documents {
        var bodies: [String: [UInt8]] = [:]

        static let keys = "/.well-known/jwks.json"
        static let metadata = "/.well-known/oauth-authorization-server"
        static let statusList = "/status-lists/" + Issuer.statusList
        static let paths = [keys, metadata, statusList]

        func publish(_ bodies: [String: [UInt8]]) { self.bodies = bodies }
    }
}
