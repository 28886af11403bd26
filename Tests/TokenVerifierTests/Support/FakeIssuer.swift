import JOSE
import Logging

@testable import TokenVerifier

/// An issuer whose documents are fetched without HTTP, by a clock that stands until it is moved. It can be away, and it
/// counts what it is asked.
final class FakeIssuer: DocumentSource {
    static let url = "https://issuer.example"
    static let jwksURL = url + "/.well-known/jwks.json"
    static let listURL = url + "/status-lists/one"

    /// What there is at an instant.
    struct State {
        var now = Instant(seconds: 1_800_000_000)
        var keys: [Key] = []
        var endedIndexes: Set<Int> = []
        var isAway = false
        var delay = Duration.milliseconds(5)
        var requests: [String] = []
        /// Instead of what the issuer would say.
        var answers: [String: [UInt8]] = [:]
    }

    /// A signing key under its `kid`.
    struct Key: Sendable {
        let keyID: KeyID
        let key: PrivateKey
        let algorithm: Algorithm

        init(_ algorithm: Algorithm = .es256) throws {
            key = try .generate(for: algorithm)
            keyID = try key.publicKey.thumbprint()
            self.algorithm = algorithm
        }

        func sign(_ claims: JSONObject, type: String = "at+jwt") throws -> String {
            try JWSSigner(key: key, keyID: keyID, algorithm: algorithm, type: type).sign(claims.json)
        }
    }

    let state: Locked<State>

    init() throws {
        var state = State()
        state.keys = [try Key()]
        self.state = Locked(state)
    }

    var now: Instant { state.withLock { $0.now } }
    var key: Key { state.withLock { $0.keys.last! } }

    func advance(_ duration: Duration) { state.withLock { $0.now = $0.now + duration } }

    func requests(for url: String) -> Int { state.withLock { $0.requests.count { $0 == url } } }

    // MARK: Tokens

    /// The claims of a valid access token.
    func claims(index: Int = 0, _ changes: [String: JSONValue?] = [:]) -> JSONObject {
        let seconds = now.seconds
        var claims: JSONObject = [
            "iss": .string(Self.url), "sub": "somebody", "aud": "https://api.example", "client_id": "first-party",
            "iat": .integer(seconds), "exp": .integer(seconds + 600), "jti": "1", "scope": "read write", "sid": "s",
            "status": ["status_list": ["idx": .integer(Int64(index)), "uri": .string(Self.listURL)]], "plan": "gold",
        ]
        for (name, value) in changes { claims[name] = value }
        return claims
    }

    func token(index: Int = 0, _ changes: [String: JSONValue?] = [:]) throws -> String {
        try key.sign(claims(index: index, changes))
    }

    // MARK: Documents

    func document(at url: String, entityTag: String?) async throws -> FetchedDocument {
        let state = state.withLock { state in
            state.requests.append(url)
            return state
        }
        // So that others who ask meanwhile really wait.
        try await Task.sleep(for: state.delay)
        guard !state.isAway else { throw VerifierUnavailable("away") }
        if let answer = state.answers[url] {
            return FetchedDocument(body: answer, entityTag: nil, maxAge: .seconds(300))
        }
        switch url {
        case Self.jwksURL:
            let body = try JWKSet(state.keys.map { JWK($0.key.publicKey, keyID: $0.keyID, algorithm: $0.algorithm) })
                .json()
            return Self.answer(body, entityTag, maxAge: .seconds(300))
        case Self.listURL: return Self.answer(Array(try Self.list(state).utf8), nil, maxAge: .seconds(10))
        default: throw VerifierUnavailable("404")
        }
    }

    private static func answer(_ body: [UInt8], _ entityTag: String?, maxAge: Duration) -> FetchedDocument {
        let tag = String(body.hashValue)
        return FetchedDocument(body: tag == entityTag ? nil : body, entityTag: tag, maxAge: maxAge)
    }

    static func list(_ state: State, _ changes: [String: JSONValue?] = [:], type: String = "statuslist+jwt") throws
        -> String
    {
        var list = StatusList(count: 1024)
        for index in state.endedIndexes { list[index] = 1 }
        var claims: JSONObject = [
            "sub": .string(listURL), "iat": .integer(state.now.seconds), "exp": .integer(state.now.seconds + 600),
            "ttl": 10, "status_list": .object(list.members),
        ]
        for (name, value) in changes { claims[name] = value }
        return try state.keys.last!.sign(claims, type: type)
    }

    // MARK: Verifiers

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    func keySource(_ policy: KeyCachePolicy = KeyCachePolicy()) -> RemoteKeySource {
        RemoteKeySource(
            url: Self.jwksURL, documents: self, policy: policy, now: { self.now }, logger: Self.logger)
    }

    func statusLists(_ keys: any KeySource) -> RemoteStatusLists {
        RemoteStatusLists(
            issuer: Self.url, keys: keys, documents: self, leeway: .seconds(30), now: { self.now }, logger: Self.logger)
    }

    func verifier<Claims>(
        _ policy: JWTPolicy = JWTPolicy(issuer: FakeIssuer.url, audiences: ["https://api.example"]),
        statusPolicy: TokenVerifier<Claims>.StatusPolicy = .require, cacheCapacity: Int = 1000
    ) -> TokenVerifier<Claims> {
        let keys = keySource()
        return TokenVerifier(
            policy: policy, keys: keys, statuses: statusLists(keys), statusPolicy: statusPolicy,
            cacheCapacity: cacheCapacity, now: { self.now })
    }

    /// One that needs no claims of its own.
    func plainVerifier() -> TokenVerifier<NoClaims> { verifier() }
}

/// Waits for what goes on in the background, as long as it may take on a busy machine.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<2000 {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

extension Verification {
    /// The code of a rejection.
    var rejection: TokenRejection.Code? { if case .rejected(let rejection) = self { rejection.code } else { nil } }
}
