import JOSE
import Testing

@testable import TokenVerifier

@Suite("A verifier")
struct TokenVerifierTests {
    /// A caller's own claims.
    struct Plan: Decodable, Sendable, Equatable {
        let plan: String
        let premium: Bool?
    }

    @Test("accepts a token, and decodes the caller's own claims")
    func accepts() async throws {
        let issuer = try FakeIssuer()
        let verifier: TokenVerifier<Plan> = issuer.verifier()
        let token = try await verifier.verify(issuer.token()).get()
        #expect(token.custom == Plan(plan: "gold", premium: nil))
        #expect(token.subject == "somebody")
        #expect(token.scopes == ["read", "write"])
    }

    @Test(
        "rejects what the policy doesn't take",
        arguments: [
            (["iss": "https://other.example"], .claimRefused), (["aud": "https://other.example"], .claimRefused),
            (["scope": "write"], .insufficientScope), (["exp": 1_799_999_969], .expired), (["exp": nil], .claimRefused),
            (["iat": 1_800_000_031], .claimRefused), (["nbf": 1_800_000_031], .claimRefused),
            (["plan": 1], .claimRefused),
            (["status": "x"], .claimRefused), (["status": ["status_list": ["idx": -1, "uri": "x"]]], .claimRefused),
        ] as [([String: JSONValue?], TokenRejection.Code)])
    func policy(changes: [String: JSONValue?], code: TokenRejection.Code) async throws {
        let issuer = try FakeIssuer()
        let policy = JWTPolicy(issuer: FakeIssuer.url, audiences: ["https://api.example"], requiredScopes: ["read"])
        let verifier: TokenVerifier<Plan> = issuer.verifier(policy)
        #expect(try await verifier.verify(issuer.token(changes)).rejection == code)
    }

    @Test("rejects an algorithm that isn't accepted, before it looks for the key")
    func algorithms() async throws {
        let issuer = try FakeIssuer()
        issuer.state.withLock { $0.keys = [] }
        let policy = JWTPolicy(issuer: FakeIssuer.url, audiences: [], algorithms: [.rs256])
        let verifier: TokenVerifier<NoClaims> = issuer.verifier(policy)
        let token = try FakeIssuer.Key().sign(issuer.claims())
        #expect(try await verifier.verify(token).rejection == .signatureInvalid)
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 1)
    }

    @Test("tells a client no more than it should know")
    func reasons() async throws {
        let issuer = try FakeIssuer()
        guard case .rejected(let rejection) = try await issuer.plainVerifier().verify(issuer.token(["iss": "x"])) else {
            Issue.record("accepted")
            return
        }
        #expect(rejection.clientReason == "the token isn't valid here")
        #expect(rejection.errorCode == "invalid_token")
    }

    @Test("rejects a token that it accepted before once it has expired")
    func expired() async throws {
        let issuer = try FakeIssuer()
        let (verifier, token) = (issuer.plainVerifier(), try issuer.token())
        _ = try await verifier.verify(token).get()
        issuer.advance(.seconds(630) - .microseconds(1))
        _ = try await verifier.verify(token).get()
        issuer.advance(.microseconds(1))
        #expect(try await verifier.verify(token).rejection == .expired)
    }

    @Test("rejects a token that it accepted before once its key is no longer published")
    func revokedKey() async throws {
        let issuer = try FakeIssuer()
        let (verifier, token) = (issuer.plainVerifier(), try issuer.token())
        _ = try await verifier.verify(token).get()
        let other = try FakeIssuer.Key()
        issuer.state.withLock { $0.keys = [other] }
        issuer.advance(.seconds(299))
        _ = try await verifier.verify(token).get()
        #expect(try await eventually { try await verifier.verify(token).rejection == .unknownKey })
    }

    @Test("rejects a token that it never saw under a header that it knows once the key is no longer published")
    func knownHeaderOfRevokedKey() async throws {
        let issuer = try FakeIssuer()
        let (verifier, later) = (issuer.plainVerifier(), try issuer.token(["jti": "2"]))
        _ = try await verifier.verify(issuer.token()).get()
        let other = try FakeIssuer.Key()
        issuer.state.withLock { $0.keys = [other] }
        issuer.advance(.seconds(300))
        #expect(try await verifier.verify(later).rejection == .unknownKey)
    }

    @Test("rejects a token of another key under a header that it knows")
    func knownHeaderOfAnotherKey() async throws {
        let issuer = try FakeIssuer()
        let (verifier, token) = (issuer.plainVerifier(), try issuer.token())
        _ = try await verifier.verify(token).get()
        let (keyID, stranger) = (issuer.key.keyID, try PrivateKey.generate(for: .es256))
        let forged = try JWSSigner(key: stranger, keyID: keyID, algorithm: .es256, type: "at+jwt")
            .sign(issuer.claims(["jti": "2"]).json)
        #expect(forged.split(separator: ".")[0] == token.split(separator: ".")[0])
        #expect(try await verifier.verify(forged).rejection == .signatureInvalid)
    }

    @Test("accepts tokens of several keys under one header that names none of them")
    func knownHeaderOfSeveralKeys() async throws {
        let issuer = try FakeIssuer()
        let keys = try (0..<2).map { _ in try PrivateKey.generate(for: .es256) }
        let verifier = TokenVerifier<NoClaims>(
            policy: JWTPolicy(issuer: FakeIssuer.url, audiences: []),
            keys: PublishedKeys(JWKSet(keys.map { JWK($0, algorithm: .es256) })), statuses: nil, now: { issuer.now })
        let header = Base64URL.encode(#"{"alg":"ES256","typ":"at+jwt"}"#.utf8)
        for key in keys {
            let input = "\(header).\(Base64URL.encode(issuer.claims().json))"
            let signature = try key.signature(of: Array(input.utf8), algorithm: .es256)
            _ = try await verifier.verify("\(input).\(Base64URL.encode(signature))").get()
        }
    }

    @Test(
        "rejects a token that it accepted before once its key is published for another algorithm",
        arguments: [true, false])
    func otherAlgorithm(hasKeyID: Bool) async throws {
        let issuer = try FakeIssuer()
        let key = try PrivateKey.generate(for: .rs256)
        let keyID = hasKeyID ? try key.publicKey.thumbprint() : nil
        let source = ReplaceableKeys(JWK(key.publicKey, keyID: keyID, algorithm: .rs256))
        let verifier = TokenVerifier<NoClaims>(
            policy: JWTPolicy(issuer: FakeIssuer.url, audiences: []), keys: source, statuses: nil, now: { issuer.now })
        let header: JSONObject = ["alg": "RS256", "typ": "at+jwt"]
        let input = "\(Base64URL.encode(header.json)).\(Base64URL.encode(issuer.claims().json))"
        let token = "\(input).\(Base64URL.encode(try key.signature(of: Array(input.utf8), algorithm: .rs256)))"
        _ = try await verifier.verify(token).get()
        source.replace(JWK(key.publicKey, keyID: keyID, algorithm: .ps256))
        #expect(try await verifier.verify(token).rejection != nil)
    }

    /// A source whose one key is another in an instant.
    private final class ReplaceableKeys: KeySource {
        private let current: Locked<PublishedKeys>

        init(_ key: JWK) { current = Locked(PublishedKeys(JWKSet([key]))) }

        func replace(_ key: JWK) { current.withLock { $0 = PublishedKeys(JWKSet([key])) } }

        func keys() async throws -> PublishedKeys { current.withLock { $0 } }

        func keysLookingAgain() async -> PublishedKeys? { nil }
    }

    @Test("goes on to accept tokens whose headers are each spelt in another way")
    func manyHeaders() async throws {
        let issuer = try FakeIssuer()
        let verifier = issuer.plainVerifier()
        for number in Int64(0)..<20 {
            let header: JSONObject = [
                "alg": "ES256", "kid": .string(issuer.key.keyID.rawValue), "typ": "at+jwt", "n": .integer(number),
            ]
            let input = "\(Base64URL.encode(header.json)).\(Base64URL.encode(issuer.claims().json))"
            let signature = try issuer.key.key.signature(of: Array(input.utf8), algorithm: .es256)
            _ = try await verifier.verify("\(input).\(Base64URL.encode(signature))").get()
        }
    }

    @Test("rejects a token that it accepted before once another key has its kid")
    func replacedKey() async throws {
        let issuer = try FakeIssuer()
        let (verifier, token) = (issuer.plainVerifier(), try issuer.token())
        _ = try await verifier.verify(token).get()
        let (keyID, other) = (issuer.key.keyID, try FakeIssuer.Key())
        let forged = try JWKSet([JWK(other.key.publicKey, keyID: keyID, algorithm: .es256)]).json()
        issuer.state.withLock { $0.answers[FakeIssuer.jwksURL] = forged }
        issuer.advance(.seconds(300))
        #expect(try await verifier.verify(token).rejection == .signatureInvalid)
    }

    @Test("rejects a token that it accepted before once its session was ended")
    func ended() async throws {
        let issuer = try FakeIssuer()
        let verifier = issuer.plainVerifier()
        let (ended, other) = (try issuer.token(index: 7), try issuer.token(index: 8))
        for token in [ended, other] { _ = try await verifier.verify(token).get() }
        issuer.state.withLock { $0.endedIndexes = [7] }
        issuer.advance(.seconds(11))
        #expect(try await verifier.verify(ended).rejection == .revoked)
        _ = try await verifier.verify(other).get()
    }

    @Test("accepts a token of a key that was published a moment ago")
    func newKey() async throws {
        let issuer = try FakeIssuer()
        let verifier = issuer.plainVerifier()
        _ = try await verifier.verify(issuer.token()).get()
        let new = try FakeIssuer.Key(.rs256)
        issuer.state.withLock { $0.keys.append(new) }
        _ = try await verifier.verify(issuer.token()).get()
    }

    @Test("doesn't mistake another text for a token that it has seen", arguments: [0, 1000])
    func otherText(cacheCapacity: Int) async throws {
        let issuer = try FakeIssuer()
        let verifier: TokenVerifier<NoClaims> = issuer.verifier(cacheCapacity: cacheCapacity)
        let token = try issuer.token()
        for _ in 0..<3 { _ = try await verifier.verify(token).get() }
        for index in [0, token.utf8.count / 2, token.utf8.count - 1] {
            var bytes = Array(token.utf8)
            bytes[index] = bytes[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(try await verifier.verify(String(decoding: bytes, as: UTF8.self)).rejection != nil)
        }
        #expect(try await verifier.verify(token + "A").rejection != nil)
    }

    @Test("remembers no more tokens than it may, and goes on to accept all of them")
    func bounded() async throws {
        let issuer = try FakeIssuer()
        let verifier: TokenVerifier<NoClaims> = issuer.verifier(cacheCapacity: 32)
        let tokens = try (0..<200).map { try issuer.token(["jti": .string("\($0)")]) }
        for token in tokens + tokens { _ = try await verifier.verify(token).get() }
        let cache = AcceptedTokenCache(capacity: 32)
        let token = try await Self.accepted(tokens[0], of: issuer)
        let digests = try (0..<1000).map { try SHA256.digest(Array("\($0)".utf8)) }
        for digest in digests { cache.insert(token, digest, at: Self.now) }
        let held = digests.count { cache.token($0, at: Self.now) != nil }
        #expect(held <= 32)
        #expect(held > 0)
    }

    @Test(
        "forgets tokens that have expired, or came a quarter of an hour ago, as others come, and none that is in use",
        arguments: [(600, 600), (86_400, 900)])
    func forgets(lifetime: Int, kept: Int) async throws {
        let issuer = try FakeIssuer()
        let cache = AcceptedTokenCache(capacity: 10_000)
        let expiry = JSONValue.integer(Self.now.seconds + Int64(lifetime))
        let token = try await Self.accepted(issuer.token(["exp": expiry]), of: issuer)
        func digests(_ round: Int) throws -> [SHA256.Digest] {
            try (0..<300).map { try SHA256.digest(Array("\(round) \($0)".utf8)) }
        }
        let used = try SHA256.digest(Array("used".utf8))
        cache.insert(token, used, at: Self.now)
        for round in 0..<4 {
            let instant = Self.now + .seconds(kept * round)
            for digest in try digests(round) { cache.insert(token, digest, at: instant) }
            #expect(cache.token(used, at: instant) != nil)
        }
        let instant = Self.now + .seconds(kept * 3)
        #expect(try digests(3).allSatisfy { cache.token($0, at: instant) != nil })
        #expect(try digests(0).allSatisfy { cache.token($0, at: instant) == nil })
    }

    private static let now = Instant(seconds: 1_800_000_000)

    /// A token as the verifier remembers it.
    private static func accepted(_ text: String, of issuer: FakeIssuer) async throws -> AcceptedToken {
        let verifier: TokenVerifier<NoClaims> = issuer.verifier()
        let verified = try await verifier.verify(text).get()
        let keys = try await issuer.keySource().keys()
        return AcceptedToken(
            signed: KnownHeader(verified.header, signedWith: keys.set.keys[0], of: keys), claims: verified.claims,
            payload: verified.payload, custom: NoClaims(), status: nil)
    }

    @Test("gives the same answer from many tasks at once")
    func concurrency() async throws {
        let issuer = try FakeIssuer()
        let (verifier, token) = (issuer.plainVerifier(), try issuer.token())
        let forged = String(token.dropLast(4)) + "AAAA"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask { _ = try await verifier.verify(token).get() }
                group.addTask {
                    let rejection = try await verifier.verify(forged).rejection
                    #expect(rejection == .signatureInvalid)
                }
            }
            try await group.waitForAll()
        }
    }
}
