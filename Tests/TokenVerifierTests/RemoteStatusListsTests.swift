import JOSE
import Testing

@testable import TokenVerifier

@Suite("A status list of an issuer elsewhere")
struct RemoteStatusListsTests {
    private static let first = StatusListReference(uri: FakeIssuer.listURL, index: 0)

    private static func lists(_ issuer: FakeIssuer) -> RemoteStatusLists { issuer.statusLists(issuer.keySource()) }

    @Test("is fetched when it is first named, once for many at once, and kept for its ttl")
    func fetched() async throws {
        let issuer = try FakeIssuer()
        let lists = Self.lists(issuer)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    let status = try await lists.status(at: Self.first)
                    #expect(status == 0)
                }
            }
            try await group.waitForAll()
        }
        issuer.advance(.milliseconds(9999))
        #expect(try await lists.status(at: Self.first) == 0)
        #expect(issuer.requests(for: FakeIssuer.listURL) == 1)
    }

    @Test("tells an ended session at the latest a second after its ttl")
    func ended() async throws {
        let issuer = try FakeIssuer()
        let lists = Self.lists(issuer)
        #expect(try await lists.status(at: Self.first) == 0)
        issuer.state.withLock { _ = $0.endedIndexes.insert(0) }
        issuer.advance(.seconds(10))
        // Serves on while the next is on its way.
        #expect(try await lists.status(at: Self.first) == 0)
        #expect(try await eventually { try await lists.status(at: Self.first) == 1 })
        issuer.state.withLock { $0.endedIndexes = [] }
        issuer.advance(.seconds(11))
        #expect(try await lists.status(at: Self.first) == 0)
    }

    @Test("that can't be had serves until its exp, and is asked for once a second at the most")
    func away() async throws {
        let issuer = try FakeIssuer()
        let lists = Self.lists(issuer)
        _ = try await lists.status(at: Self.first)
        issuer.state.withLock { $0.isAway = true }
        issuer.advance(.seconds(599))
        for _ in 0..<50 { #expect(try await lists.status(at: Self.first) == 0) }
        #expect(issuer.requests(for: FakeIssuer.listURL) == 2)
        issuer.advance(.seconds(1))
        await #expect(throws: VerifierUnavailable.self) { try await lists.status(at: Self.first) }
    }

    @Test(
        "of another origin is never asked for",
        arguments: ["https://evil.example/status-lists/one", "file:///etc/passwd", "", "x"])
    func otherOrigin(uri: String) async throws {
        let issuer = try FakeIssuer()
        #expect(try await Self.lists(issuer).status(at: StatusListReference(uri: uri, index: 0)) == nil)
        #expect(issuer.state.withLock { $0.requests.isEmpty })
    }

    @Test("has no place beyond its end", arguments: [1024, 1_000_000, Int.max])
    func beyond(index: Int) async throws {
        let issuer = try FakeIssuer()
        let reference = StatusListReference(uri: FakeIssuer.listURL, index: index)
        #expect(try await Self.lists(issuer).status(at: reference) == nil)
    }

    @Test(
        "that is another's, not one, from the future or expired counts as none",
        arguments: [
            ["sub": "https://issuer.example/status-lists/two"], ["sub": nil], ["status_list": nil], ["status_list": 1],
            ["status_list": ["bits": 1, "lst": "AAAA"]], ["iat": 1_900_000_000], ["iat": nil], ["exp": 1_799_999_999],
        ] as [[String: JSONValue?]])
    func wrong(changes: [String: JSONValue?]) async throws {
        let issuer = try FakeIssuer()
        try issuer.state.withLock {
            $0.answers[FakeIssuer.listURL] = Array(try FakeIssuer.list($0, changes).utf8)
        }
        await #expect(throws: VerifierUnavailable.self) { try await Self.lists(issuer).status(at: Self.first) }
    }

    @Test("signed by a stranger, or of another type, counts as none", arguments: [true, false])
    func forged(isStranger: Bool) async throws {
        let issuer = try FakeIssuer()
        try issuer.state.withLock { state in
            var signer = state
            if isStranger { signer.keys = [try FakeIssuer.Key()] }
            let text = try FakeIssuer.list(signer, type: isStranger ? "statuslist+jwt" : "at+jwt")
            state.answers[FakeIssuer.listURL] = Array(text.utf8)
        }
        await #expect(throws: VerifierUnavailable.self) { try await Self.lists(issuer).status(at: Self.first) }
    }
}
