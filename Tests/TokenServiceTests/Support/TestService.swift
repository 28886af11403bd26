import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JOSE
import KeyService
import Logging
import NIOCore
import Storage
import TestSupport
import Synchronization
import Testing
import TokenVerifier

@testable import TokenService

/// A clock that stands until it is moved.
final class TestClock: Sendable {
    private let microseconds = Atomic<Int64>(1_800_000_000_000_000)

    var now: Instant {
        get { Instant(microseconds: microseconds.load(ordering: .relaxed)) }
        set { microseconds.store(newValue.microseconds, ordering: .relaxed) }
    }

    func advance(_ duration: Duration) { now = now + duration }
}

/// A database that counts what is asked of it.
final class CountingDatabase: Database {
    private let base: any Database
    private let accesses = Atomic<Int>(0)

    init(_ base: any Database) { self.base = base }

    var count: Int { accesses.load(ordering: .relaxed) }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any Connection) throws -> Result) async throws -> Result {
        accesses.add(1, ordering: .relaxed)
        return try await base.read(body)
    }

    func write<Result: Sendable>(_ body: @escaping @Sendable (any Connection) throws -> Result) async throws -> Result {
        accesses.add(1, ordering: .relaxed)
        return try await base.write(body)
    }

    func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row] {
        accesses.add(1, ordering: .relaxed)
        return try await base.write(sql, parameters)
    }

    func changes(at url: String?) -> AsyncStream<Void> { base.changes(at: url) }

    func close() throws { try base.close() }
}

/// A whole service in a folder of its own, asked through its router, with cheap passwords and a clock that is moved.
final class TestService {
    let clock: TestClock
    let folder: URL
    /// The service whose folder this one works in, too.
    private let first: TestService?
    let settings: Settings
    let database: CountingDatabase
    let accounts: Accounts
    let secret: MasterSecret
    let server: TokenServer
    private let router: Router<ServiceRequestContext>
    /// What the clock said when the server looked at its stores last, as it does by itself when it runs.
    private var looked: Instant

    static let url = "http://127.0.0.1:8080"

    convenience init(_ flags: [String: String] = [:]) async throws { try await self.init(flags, beside: nil) }

    /// Another node over the same files, with settings of its own and the same clock.
    func restarted(_ flags: [String: String]) async throws -> TestService { try await TestService(flags, beside: self) }

    /// The same service over another database.
    func over(_ database: any Database) async throws -> TestService {
        try await TestService([:], beside: self, over: database)
    }

    private init(_ flags: [String: String], beside first: TestService?, over other: (any Database)? = nil) async throws
    {
        self.first = first
        clock = first?.clock ?? TestClock()
        folder =
            first?.folder ?? FileManager.default.temporaryDirectory.appending(path: "token-service-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let path = { [folder] (name: String) in folder.appending(path: name).path }
        let defaults = [
            "keys": path("keys"), "database": try await TestDatabase.address(folder), "database-connections": "2",
            "master-secret-file": path("master.secret"),
            "algorithms": "ES256", "log-in-rate": "1000/m", "password-memory": "1MiB", "password-iterations": "1",
            "log-format": "text",
            "log-level": "critical",
        ]
        settings = try Settings(
            SettingValues(flags: defaults.merging(flags) { $1 }, environment: [:], file: nil))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let installation = Installation(settings: settings, logger: logger)
        if settings.keyFolder == nil { _ = try MasterSecret.create(file: settings.masterSecretFile) }
        secret = try installation.masterSecret(creating: true)
        if let other {
            database = CountingDatabase(other)
        } else {
            database = CountingDatabase(try await installation.database(creating: true))
        }
        let now: @Sendable () -> Instant = { [clock] in clock.now }
        accounts = Accounts(
            users: UserStore(database: database),
            hasher: PasswordHasher(cost: settings.passwordCost, concurrency: 1), actor: .operatorNamed("test"), now: now
        )
        server = try await TokenServer(
            settings: settings, secret: secret, database: database,
            keyStore: await installation.keyStore(secret: secret, creating: true, in: database),
            counted: PrometheusMetrics(),
            now: now, logger: logger)
        looked = clock.now
        router = try await server.router(listeningAt: Self.url)
    }

    deinit {
        try? database.close()
        if first == nil { try? FileManager.default.removeItem(at: folder) }
    }

    @discardableResult
    func addUser(_ name: String = "alice", password: String = "correct horse", claims: JSONObject = [:]) async throws
        -> User
    {
        try await accounts.add(
            name: name, credential: .password(password), claims: claims, scopes: ["read", "write"])
    }

    /// A client, and its secret.
    struct TestClient {
        let client: Client
        let secret: String

        var id: String { client.id }
        /// The header of client_secret_basic.
        var basic: String { "Basic " + Data("\(id):\(secret)".utf8).base64EncodedString() }
    }

    var clients: ClientAdministration {
        ClientAdministration(
            store: ClientStore(database: database), settings: settings, actor: .operatorNamed("test"),
            now: { [clock] in clock.now })
    }

    @discardableResult
    func addClient(
        _ name: String = "job", scopes: [String] = ["read", "write"], audiences: [String] = [],
        may permissions: [String] = [], algorithm: String? = nil, lifetime: String? = nil
    ) async throws -> TestClient {
        var request = ClientAdministration.Request(name: name)
        request.scopes = scopes
        request.audiences = audiences
        request.permissions = permissions
        request.algorithm = algorithm
        request.tokenLifetime = lifetime
        let registration = try await clients.add(request)
        return TestClient(client: registration.client, secret: registration.secret ?? "")
    }

    /// Posts a form, as a client that authenticates in the header, or nobody.
    func form(_ path: String, _ parameters: Parameters, as client: TestClient? = nil) async throws -> Answer {
        var headers: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
        if let client { headers[.authorization] = client.basic }
        let unreserved = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
        let body = parameters.all.map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: unreserved)!)" }
        return try await send(.post, path, headers: headers, body: Array(body.joined(separator: "&").utf8))
    }

    /// A machine's token.
    func token(of client: TestClient) async throws -> String {
        try await form("/oauth2/token", ["grant_type": "client_credentials"], as: client).text("access_token")
    }

    /// A user's token that a client exchanged.
    func exchange(_ token: String, as client: TestClient, _ more: Parameters = [:]) async throws -> Answer {
        let usual: Parameters = [
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        ]
        return try await form("/oauth2/token", usual + more, as: client)
    }

    /// An answer of the service.
    struct Answer {
        let status: HTTPResponse.Status
        let headers: HTTPFields
        let body: [UInt8]

        var json: JSONObject { get throws { try JSONObject(json: body) } }
        var error: String? { try? json["error"]?.string }
        /// The claims of the access token in it.
        var claims: JSONObject { get throws { try TestService.claims(text("access_token")) } }
        func text(_ name: String) throws -> String { try json[name]?.string ?? "(no \(name))" }
    }

    func send(
        _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields = [:], body: [UInt8]? = nil
    ) async throws -> Answer {
        if looked != clock.now {
            looked = clock.now
            // As in the background of a running server, where a failure stops nothing.
            try? await server.refresh()
        }
        return try await sendAsIs(method, path, headers: headers, body: body)
    }

    /// Sends a request to a server that hasn't looked at its stores since.
    func sendAsIs(
        _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields = [.contentType: "application/json"],
        body: [UInt8]? = nil
    ) async throws -> Answer {
        let application = Application(router: router, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var headers = headers
        if let body, headers[.contentLength] == nil { headers[.contentLength] = String(body.count) }
        let answer = try await application.test(.router) { [headers] client in
            try await client.execute(
                uri: path, method: method, headers: headers, body: body.map { ByteBuffer(bytes: $0) }
            ) { response in
                Answer(status: response.status, headers: response.headers, body: Array(buffer: response.body))
            }
        }
        if let omission = OpenAPIDocument.shared.omission(method, path, answer) {
            Issue.record("the OpenAPI document doesn't tell \(omission)")
        }
        return answer
    }

    func post(_ path: String, _ members: JSONObject, bearer: String? = nil) async throws -> Answer {
        var headers: HTTPFields = [.contentType: "application/json"]
        if let bearer { headers[.authorization] = "Bearer \(bearer)" }
        return try await send(.post, path, headers: headers, body: members.json)
    }

    func get(_ path: String, bearer: String? = nil, headers: HTTPFields = [:]) async throws -> Answer {
        var headers = headers
        if let bearer { headers[.authorization] = "Bearer \(bearer)" }
        return try await send(.get, path, headers: headers)
    }

    /// Two tokens.
    struct Pair: Equatable {
        let access: String
        let refresh: String
    }

    func logIn(_ name: String = "alice", password: String = "correct horse") async throws -> Pair {
        let answer = try await post("/auth/log-in", ["username": .string(name), "password": .string(password)])
        return Pair(access: try answer.text("access_token"), refresh: try answer.text("refresh_token"))
    }

    func refresh(_ token: String) async throws -> Answer {
        try await post("/auth/refresh", ["refresh_token": .string(token)])
    }

    /// Revokes the key that signs, as the command does.
    func revokeSigningKey() async throws {
        let store = try FolderKeyStore(path: settings.keys, secret: secret)
        let administration = KeyAdministration(
            store: store, planner: KeyPlanner(schedule: settings.keySchedule), now: { [clock] in clock.now })
        let outcome = try await administration.list()
        let active = try #require(outcome.ring.active(.es256, at: clock.now))
        _ = try await administration.revoke(active.keyID, reason: "leaked")
    }

    static func claims(_ token: String) throws -> JSONObject {
        try JWTClaims(json: JWS(compact: token).payload).members
    }

    /// The records of the audit log.
    func audit() async throws -> [JSONObject] {
        let log = AuditLog(database: database)
        return try await log.records(since: Instant(microseconds: 0))
    }

    /// What the published status list says of a token: read anew, as a verifier does that has none yet.
    func isEnded(_ token: String) async throws -> Bool {
        let reference = try #require(
            try JWTClaims(json: JWS(compact: token).payload).members["status"]?.object?["status_list"]?.object)
        let uri = try #require(reference["uri"]?.string)
        let answer = try await get(String(uri.dropFirst(Self.url.count)))
        let jws = try JWS(compact: answer.body, maximumSize: 64 * 1024)
        let list = try StatusList(try #require(try JSONObject(json: jws.payload)["status_list"]?.object))
        return list[Int(try #require(reference["idx"]?.integer))] != 0
    }

    /// The refresh token of the next pair.
    func next(_ token: String) async throws -> String { try await refresh(token).text("refresh_token") }
}

/// Parameters of a form, in their order.
struct Parameters: ExpressibleByDictionaryLiteral {
    var all: [(name: String, value: String)]

    init(dictionaryLiteral elements: (String, String)...) { all = elements.map { (name: $0, value: $1) } }

    static func + (left: Parameters, right: Parameters) -> Parameters {
        var sum = left
        sum.all += right.all
        return sum
    }

    /// These with one left out, or its value changed.
    func with(_ name: String, _ value: String?) -> Parameters {
        var changed = self
        changed.all.removeAll { $0.name == name }
        if let value { changed.all.append((name, value)) }
        return changed
    }
}
