import HTTPTypes
import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("Failed log-ins")
struct LogInLimitTests {
    /// A service over its database, and one that was started again.
    private struct Limits {
        let service: TestService
        let limiter: LogInLimiter

        init(_ rate: String) async throws {
            service = try await TestService()
            limiter = try Self.limiter(service, rate)
        }

        static func limiter(_ service: TestService, _ rate: String) throws -> LogInLimiter {
            try LogInLimiter(
                database: service.database, rate: #require(AttemptRate(rate)), secret: service.secret)
        }

        func fail(_ name: String, from address: String) async throws {
            let now = service.clock.now
            let attempt = try await limiter.begin(name: name, from: IPAddress(address), at: now)
            try await limiter.fail(attempt, audit: AuditRecord(.logIn, .refused, by: .service, at: now), at: now)
            limiter.end(attempt)
        }

        /// Whether another try is refused; it doesn't count as a failure.
        func refuses(_ name: String, from address: String) async throws -> Bool {
            do {
                limiter.end(try await limiter.begin(name: name, from: IPAddress(address), at: service.clock.now))
                return false
            } catch is LogInLimiter.Exceeded {
                return true
            }
        }
    }

    @Test("of an account from one network are limited there, and nowhere else")
    func account() async throws {
        let limits = try await Limits("3/m")
        for _ in 0..<3 { try await limits.fail("alice", from: "192.0.2.1") }
        #expect(try await limits.refuses("alice", from: "192.0.2.1"))
        #expect(try await !limits.refuses("alice", from: "192.0.2.2"))
    }

    @Test("from one network are limited over all accounts")
    func network() async throws {
        let limits = try await Limits("3/m")
        for name in ["a", "b", "c"] { try await limits.fail(name, from: "192.0.2.1") }
        #expect(try await limits.refuses("alice", from: "192.0.2.1"))
        #expect(try await !limits.refuses("a", from: "192.0.2.2"))
    }

    @Test("from the addresses of one /64 count as one network's, from another's not")
    func ipv6() async throws {
        let limits = try await Limits("3/m")
        for host in 1...3 { try await limits.fail("alice", from: "2001:db8::\(host)") }
        #expect(try await limits.refuses("alice", from: "2001:db8::ffff"))
        #expect(try await !limits.refuses("alice", from: "2001:db8:0:1::1"))
    }

    @Test("are forgiven one by one as time goes on")
    func forgiven() async throws {
        let limits = try await Limits("3/m")
        for _ in 0..<3 { try await limits.fail("alice", from: "192.0.2.1") }
        limits.service.clock.advance(.seconds(19))
        #expect(try await limits.refuses("alice", from: "192.0.2.1"))
        limits.service.clock.advance(.seconds(1))
        #expect(try await !limits.refuses("alice", from: "192.0.2.1"))
        try await limits.fail("alice", from: "192.0.2.1")
        #expect(try await limits.refuses("alice", from: "192.0.2.1"))
    }

    @Test("that are still under way count, so that many at once are no way round")
    func atOnce() async throws {
        let limits = try await Limits("3/m")
        let (limiter, now) = (limits.limiter, limits.service.clock.now)
        let begun = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    (try? await limiter.begin(name: "alice", from: IPAddress("192.0.2.1"), at: now)) != nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(begun == 3)
    }

    @Test("of an account are remembered over a restart")
    func restart() async throws {
        let limits = try await Limits("3/m")
        for _ in 0..<3 { try await limits.fail("alice", from: "192.0.2.1") }
        let restarted = try Limits.limiter(limits.service, "3/m")
        await #expect(throws: LogInLimiter.Exceeded.self) {
            try await restarted.begin(name: "alice", from: IPAddress("192.0.2.1"), at: limits.service.clock.now)
        }
    }

    @Test("of invented names leave no row once they are forgiven, and never the name")
    func rows() async throws {
        let limits = try await Limits("1000/m")
        for number in 0..<20 { try await limits.fail("invented\(number)", from: "192.0.2.1") }
        let database = limits.service.database
        let ids = try await database.read { try $0.query("SELECT id FROM log_in_failures").map { try $0.text("id") } }
        #expect(ids.count == 20)
        #expect(ids.allSatisfy { !$0.contains("invented") })
        limits.service.clock.advance(.seconds(60))
        try await limits.service.server.sweep()
        #expect(try await database.read { try $0.query("SELECT id FROM log_in_failures").isEmpty })
    }

    @Test("beyond the limit are 429 with Retry-After, with the right password too, and successes don't count")
    func http() async throws {
        let service = try await TestService(["log-in-rate": "3/m"])
        try await service.addUser()
        func logIn(_ password: JSONValue) async throws -> TestService.Answer {
            try await service.post("/auth/log-in", ["username": "alice", "password": password])
        }
        for _ in 0..<5 { #expect(try await logIn("correct horse").status == .ok) }
        for _ in 0..<3 { #expect(try await logIn("wrong").status == .unauthorized) }
        let refused = try await logIn("correct horse")
        #expect(refused.status == .tooManyRequests)
        #expect(refused.headers[HTTPField.Name("Retry-After")!] == "20")
        service.clock.advance(.seconds(20))
        #expect(try await logIn("correct horse").status == .ok)
    }

    @Test("of a change of one's own password are limited as well")
    func ownPassword() async throws {
        let service = try await TestService(["log-in-rate": "3/m"])
        try await service.addUser()
        let token = try await service.logIn().access
        func change(_ current: JSONValue) async throws -> HTTPResponse.Status {
            try await service.post("/auth/password", ["current": current, "new": "battery staple"], bearer: token)
                .status
        }
        for _ in 0..<3 { #expect(try await change("wrong") == .unauthorized) }
        #expect(try await change("correct horse") == .tooManyRequests)
    }

    @Test(
        "are counted at a rate that makes sense",
        arguments: ["", "10", "10/", "/m", "0/m", "-1/m", "10/d", "1.5/m", "1000001/s", "10/m/m"])
    func rates(text: String) {
        #expect(AttemptRate(text) == nil)
    }
}

@Suite("The address of a client")
struct ClientAddressTests {
    @Test(
        "is read in every common form",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"), ("192.0.2", nil), ("192.0.2.256", nil), ("", nil), ("1.2.3.4/8", nil),
            (String(repeating: "1", count: 1000), nil),
        ] as [(String, String?)])
    func reads(text: String, expected: String?) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(
        "is in a network by its first bits",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false), ("192.0.2.128/25", "192.0.2.127", false), ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false), ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("::/0", "1.2.3.4", true),
        ])
    func networks(range: String, address: String, isInside: Bool) throws {
        let range = try #require(IPAddress.Range(range))
        #expect(range.contains(try #require(IPAddress(address))) == isInside)
    }

    @Test(
        "is no network", arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "/8", "x/8", "1.2.3.4/8/8"])
    func noNetwork(text: String) {
        #expect(IPAddress.Range(text) == nil)
    }
}
