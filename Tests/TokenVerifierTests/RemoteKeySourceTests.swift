import JOSE
import Testing

@testable import TokenVerifier

@Suite("The key set of an issuer elsewhere")
struct RemoteKeySourceTests {
    @Test("is fetched once for a thousand callers at once")
    func coldCache() async throws {
        let issuer = try FakeIssuer()
        let source = issuer.keySource()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<1000 { group.addTask { _ = try await source.keys() } }
            try await group.waitForAll()
        }
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 1)
    }

    @Test("is kept as long as it says, and fetched anew before its time is up without anybody waiting")
    func refreshAhead() async throws {
        let issuer = try FakeIssuer()
        let source = issuer.keySource()
        let first = try await source.keys()
        issuer.advance(.seconds(239))
        #expect(try await source.keys() === first)
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 1)
        issuer.state.withLock { $0.keys.append($0.keys[0]) }
        issuer.advance(.seconds(1))
        #expect(try await source.keys() === first)
        #expect(try await eventually { try await source.keys() !== first })
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 2)
    }

    @Test("that is still the same isn't read anew")
    func notModified() async throws {
        let issuer = try FakeIssuer()
        let source = issuer.keySource()
        let first = try await source.keys()
        issuer.advance(.seconds(300))
        #expect(try await source.keys() === first)
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 2)
    }

    @Test("is looked for again at most once in a while, however many forged kids arrive")
    func forgedKeyIDs() async throws {
        let issuer = try FakeIssuer()
        let verifier = issuer.plainVerifier()
        let stranger = try FakeIssuer.Key()
        // A hundred thousand in a minute, by the source itself; a few of them as whole tokens.
        let source = issuer.keySource()
        _ = try await source.keys()
        for second in 0..<60 {
            for _ in 0..<1667 { _ = await source.keysLookingAgain() }
            #expect(
                try await verifier.verify(stranger.sign(issuer.claims(["sid": .string("\(second)")]))).rejection
                    == .unknownKey)
            issuer.advance(.seconds(1))
        }
        // One each at the start, and one in ten seconds each.
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 2 + 2 * 6)
    }

    @Test("serves on while the issuer is away, for an hour, and asks it now and then only")
    func away() async throws {
        let issuer = try FakeIssuer()
        let source = issuer.keySource()
        let first = try await source.keys()
        issuer.state.withLock { $0.isAway = true }
        issuer.advance(.seconds(300))
        for _ in 0..<100 { #expect(try await source.keys() === first) }
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == 2)
        issuer.advance(.seconds(3599))
        #expect(try await source.keys() === first)
        issuer.advance(.seconds(1))
        await #expect(throws: VerifierUnavailable.self) { try await source.keys() }
        let requests = issuer.requests(for: FakeIssuer.jwksURL)
        for _ in 0..<100 { await #expect(throws: VerifierUnavailable.self) { try await source.keys() } }
        #expect(issuer.requests(for: FakeIssuer.jwksURL) == requests)
        issuer.state.withLock { $0.isAway = false }
        issuer.advance(.seconds(5))
        _ = try await source.keys()
    }

    @Test("that is being fetched for one token with an unknown key is waited for by all")
    func newKeyForAll() async throws {
        let issuer = try FakeIssuer()
        let verifier = issuer.plainVerifier()
        _ = try await verifier.verify(issuer.token()).get()
        let new = try FakeIssuer.Key()
        issuer.state.withLock { $0.keys.append(new) }
        let tokens = try (0..<20).map { try issuer.token(["jti": .string("\($0)")]) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for token in tokens { group.addTask { _ = try await verifier.verify(token).get() } }
            try await group.waitForAll()
        }
    }

    @Test("serves on at once while the issuer doesn't answer, after the first who waited")
    func blackHole() async throws {
        let issuer = try FakeIssuer()
        let (source, verifier) = (issuer.keySource(), issuer.plainVerifier())
        let (first, token) = (try await source.keys(), try issuer.token())
        _ = try await verifier.verify(token).get()
        issuer.state.withLock { $0.isAway = true }
        issuer.advance(.seconds(301))
        #expect(try await source.keys() === first)
        _ = try await verifier.verify(token).get()
        issuer.state.withLock { $0.delay = .seconds(3600) }
        issuer.advance(.seconds(10))
        for _ in 0..<3 {
            #expect(try await source.keys() === first)
            _ = try await verifier.verify(token).get()
        }
    }

    @Test(
        "that can't be read doesn't take the place of the last one",
        arguments: ["", "{}", "[]", #"{"keys":1}"#, #"{"keys":[1]}"#, "<html>"])
    func unreadable(body: String) async throws {
        let issuer = try FakeIssuer()
        let source = issuer.keySource()
        let first = try await source.keys()
        issuer.state.withLock { $0.answers[FakeIssuer.jwksURL] = Array(body.utf8) }
        issuer.advance(.seconds(300))
        #expect(try await source.keys() === first)
    }

    @Test(
        "is fetched over https only, unless the issuer is on this machine",
        arguments: [
            ("https://id.example", true), ("http://127.0.0.1:8080", true), ("http://localhost", true),
            ("http://[::1]:1", true), ("http://id.example", false), ("http://127.0.0.1.id.example", false),
            ("ftp://id.example", false), ("id.example", false), ("", false), ("https://user:secret@id.example", false),
        ])
    func https(url: String, isTaken: Bool) {
        #expect(((try? RemoteKeySource(url: url)) != nil) == isTaken)
        #expect(((try? RemoteKeySource(issuer: url)) != nil) == isTaken)
    }
}

@Suite("The metadata of an issuer")
struct IssuerMetadataTests {
    private static func metadata(_ issuer: String, _ fake: FakeIssuer) -> IssuerMetadata {
        IssuerMetadata(issuer: issuer, documents: fake)
    }

    @Test(
        "are found where RFC 8414 or OpenID Connect has them",
        arguments: [
            ("https://a.example", "https://a.example/.well-known/oauth-authorization-server"),
            ("https://a.example", "https://a.example/.well-known/openid-configuration"),
            ("https://a.example/tenant", "https://a.example/.well-known/oauth-authorization-server/tenant"),
            ("https://a.example/tenant", "https://a.example/tenant/.well-known/openid-configuration"),
        ])
    func places(issuer: String, place: String) async throws {
        let fake = try FakeIssuer()
        let body = #"{"issuer":"\#(issuer)","jwks_uri":"https://keys.example"}"#
        fake.state.withLock { $0.answers[place] = Array(body.utf8) }
        #expect(try await Self.metadata(issuer, fake).jwksURL() == "https://keys.example")
    }

    @Test(
        "of somebody else, or without keys, are refused",
        arguments: [
            #"{"issuer":"https://b.example","jwks_uri":"https://keys.example"}"#,
            #"{"jwks_uri":"https://keys.example"}"#,
            #"{"issuer":"https://a.example"}"#, #"{"issuer":"https://a.example/","jwks_uri":"https://keys.example"}"#,
            "x",
        ])
    func refused(body: String) async throws {
        let fake = try FakeIssuer()
        fake.state.withLock {
            $0.answers["https://a.example/.well-known/oauth-authorization-server"] = Array(body.utf8)
        }
        await #expect(throws: VerifierUnavailable.self) {
            try await Self.metadata("https://a.example", fake).jwksURL()
        }
    }
}
