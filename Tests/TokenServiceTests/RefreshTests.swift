import Foundation
import HTTPTypes
import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("Refreshing")
struct RefreshTests {
    @Test("answers the next pair, with the user's claims of today")
    func next() async throws {
        let service = try await TestService()
        let user = try await service.addUser(claims: ["plan": "free"])
        let first = try await service.logIn()
        _ = try await service.accounts.setClaims(of: user, ["plan": "gold"], removing: [])
        let answer = try await service.refresh(first.refresh)
        #expect(answer.status == .ok)
        #expect(try answer.text("refresh_token") != first.refresh)
        let claims = try JWTClaims(json: JWS(compact: answer.text("access_token")).payload)
        #expect(claims.members["plan"] == "gold")
    }

    @Test("asks the database once")
    func once() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let count = service.database.count
        #expect(try await service.refresh(first).status == .ok)
        #expect(service.database.count == count + 1)
    }

    @Test("is refused to a user who is disabled, though the session goes on")
    func disabled() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        _ = try await service.database.write { try $0.execute("UPDATE users SET disabled_at = 1") }
        #expect(try await service.refresh(first).status == .unauthorized)
        #expect(try await service.refresh(first).status == .unauthorized)
    }

    @Test("repeats the answer within the grace, and advances once")
    func repeats() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let second = try await service.next(first)
        service.clock.advance(.seconds(29))
        #expect(try await service.next(first) == second)
        service.clock.advance(.milliseconds(999))
        #expect(try await service.next(first) == second)
        #expect(try await service.refresh(second).status == .ok)
    }

    @Test("gives a repeated answer whole tokens where their lifetime was raised since")
    func raisedLifetime() async throws {
        let service = try await TestService(["access-token-lifetime": "1m", "refresh-grace": "5m"])
        try await service.addUser()
        let first = try await service.logIn().refresh
        _ = try await service.next(first)
        _ = try await service.database.write { try $0.execute("UPDATE sessions SET tokens_until = advanced_at + 1") }
        service.clock.advance(.seconds(200))
        #expect(try await service.refresh(first).json["expires_in"] == 60)
    }

    @Test("gives twenty at once one and the same next token, and goes one step ahead")
    func twentyAtOnce() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let coder = try RefreshTokenCoder(secret: service.secret)
        let token = try #require(try coder.read(first))
        let store = SessionStore(
            database: service.database,
            lifetimes: SessionLifetimes(
                total: .seconds(900), idle: .seconds(900), grace: .seconds(30), accessToken: .seconds(600)))
        let (now, origin) = (service.clock.now, SessionOrigin(address: nil, userAgent: nil))
        let advanced = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    switch try await store.refresh(token, from: origin, at: now) {
                    case .advanced: true
                    case .repeated: false
                    default: throw ServiceError(.failed, "refused")
                    }
                }
            }
            return try await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(advanced.count { $0 } == 1)
        #expect(advanced.count == 20)
        #expect(try await service.next(first) == coder.text(of: token.successor))
    }

    @Test("ends the session when a used token comes back after the grace")
    func reuseAfterGrace() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let second = try await service.next(first)
        service.clock.advance(.seconds(30))
        let answer = try await service.refresh(first)
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_grant")
        #expect(try await service.refresh(second).status == .unauthorized)
    }

    @Test("ends the session when a token from two steps ago comes back, grace or not")
    func reuseOfOlder() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let third = try await service.next(service.next(first))
        #expect(try await service.refresh(first).status == .unauthorized)
        #expect(try await service.refresh(third).status == .unauthorized)
    }

    @Test("counts a clock that runs behind the one that advanced as within the grace")
    func clockBehind() async throws {
        let service = try await TestService(["refresh-grace": "0"])
        service.clock.advance(.seconds(60))
        try await service.addUser()
        let first = try await service.logIn().refresh
        let second = try await service.next(first)
        service.clock.advance(.seconds(-5))
        #expect(try await service.next(first) == second)
    }

    @Test("accepts a token ahead of a store that was restored from an older copy, and catches up")
    func restored() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let third = try await service.next(service.next(first))
        let id = try #require(try RefreshTokenCoder(secret: service.secret).read(third)).sessionName
        _ = try await service.database.write { connection in
            try connection.execute("UPDATE sessions SET generation = 1 WHERE id = $1", [.text(id)])
        }
        let fourth = try await service.next(third)
        #expect(try await service.refresh(fourth).status == .ok)
        #expect(try await service.audit().contains { $0["event"] == "refresh" && $0["outcome"] == "ahead" })
        service.clock.advance(.seconds(31))
        #expect(try await service.refresh(third).status == .unauthorized)
    }

    @Test("isn't used up where nothing can be signed, and counts as unready")
    func noKey() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        // Up to here it is written down that the key signs; the folder can't be written any more.
        service.clock.advance(.seconds(661))
        #expect(try await service.sendAsIs(.get, "/health/ready").status == .serviceUnavailable)
        let body: JSONObject = ["refresh_token": .string(first)]
        #expect(try await service.sendAsIs(.post, "/auth/refresh", body: body.json).status == .serviceUnavailable)
        let row = try await service.database.read {
            try $0.query("SELECT generation FROM sessions")[0].integer("generation")
        }
        #expect(row == 1)
    }

    @Test("is refused once the session's lifetime is over")
    func lifetime() async throws {
        let service = try await TestService(["refresh-token-lifetime": "1d", "refresh-token-idle-lifetime": "1d"])
        try await service.addUser()
        let first = try await service.logIn().refresh
        service.clock.advance(.seconds(86_399))
        let second = try await service.next(first)
        service.clock.advance(.seconds(1))
        #expect(try await service.refresh(second).status == .unauthorized)
    }

    @Test("is refused after the idle lifetime, which each refresh begins anew")
    func idle() async throws {
        let service = try await TestService(["refresh-token-idle-lifetime": "1h"])
        try await service.addUser()
        let first = try await service.logIn().refresh
        service.clock.advance(.seconds(3599))
        let second = try await service.next(first)
        service.clock.advance(.seconds(3599))
        let third = try await service.next(second)
        service.clock.advance(.seconds(3600))
        #expect(try await service.refresh(third).status == .unauthorized)
    }

    @Test("makes no query for a token with any bit flipped, or a character more or less")
    func forged() async throws {
        let service = try await TestService()
        try await service.addUser()
        let token = try await service.logIn().refresh
        var forged = [token + "A", String(token.dropLast()), "A" + token, "", "é", String(repeating: "A", count: 5000)]
        for bit in 0..<(73 * 8) {
            var bytes = try Base64URL.decode(token)
            bytes[bit / 8] ^= 1 << (bit % 8)
            forged.append(Base64URL.encode(bytes))
        }
        let count = service.database.count
        for text in forged { #expect(try await service.refresh(text).status == .unauthorized) }
        #expect(service.database.count == count)
        #expect(try await service.refresh(token).status == .ok)
    }

    @Test("knows no session of another service's master secret")
    func otherSecret() async throws {
        let (service, other) = (try await TestService(), try await TestService())
        try await other.addUser()
        #expect(try await service.refresh(other.logIn().refresh).status == .unauthorized)
    }

    @Test("forgets sessions whose lifetime is over")
    func sweep() async throws {
        let service = try await TestService()
        try await service.addUser()
        _ = try await service.logIn()
        let store = SessionStore(database: service.database, settings: service.settings)
        func remove() async throws -> Int {
            _ = try await store.removeExpired(at: service.clock.now, clockLeeway: .seconds(30))
            return try await service.database.read { try $0.query("SELECT id FROM sessions").count }
        }
        #expect(try await remove() == 1)
        service.clock.advance(.seconds(30 * 86_400))
        #expect(try await remove() == 0)
    }

    @Test("forgets an ended session once its last access token has expired")
    func sweepEnded() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.post("/auth/log-out", [:], bearer: pair.access)
        let store = SessionStore(database: service.database, settings: service.settings)
        func remove() async throws -> Int {
            _ = try await store.removeExpired(at: service.clock.now, clockLeeway: .seconds(30))
            return try await service.database.read { try $0.query("SELECT id FROM sessions").count }
        }
        // The lifetime, the grace in which the answer might have been repeated, and twice the leeway.
        service.clock.advance(.seconds(600 + 30 + 60) - .microseconds(1))
        #expect(try await remove() == 1)
        service.clock.advance(.microseconds(1))
        #expect(try await remove() == 0)
    }
}
