import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Ending sessions")
struct EndingTests {
    @Test("logs out by the bearer token, also the second time")
    func bearer() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        #expect(try await service.post("/auth/log-out", [:], bearer: pair.access).status == .noContent)
        #expect(try await service.post("/auth/log-out", [:], bearer: pair.access).status == .noContent)
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
    }

    @Test("logs out by a refresh token of any generation")
    func anyGeneration() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn().refresh
        let third = try await service.next(service.next(first))
        #expect(try await service.post("/auth/log-out", ["refresh_token": .string(first)]).status == .noContent)
        #expect(try await service.refresh(third).status == .unauthorized)
    }

    @Test("logs out by the refresh token where the access token has expired")
    func expiredBearer() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        service.clock.advance(.seconds(3600))
        let answer = try await service.post(
            "/auth/log-out", ["refresh_token": .string(pair.refresh)], bearer: pair.access)
        #expect(answer.status == .noContent)
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
    }

    @Test("logs out everywhere by the token of a session that was ended already, as a reused one is")
    func everywhereByEnded() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (stolen, thief) = (try await service.logIn(), try await service.logIn())
        _ = try await service.post("/auth/log-out", ["refresh_token": .string(stolen.refresh)])
        let body: JSONObject = ["refresh_token": .string(stolen.refresh)]
        #expect(try await service.post("/auth/log-out-everywhere", body).status == .noContent)
        #expect(try await service.refresh(thief.refresh).status == .unauthorized)
    }

    @Test("logs out of both where the bearer token and the refresh token name two sessions")
    func two() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (one, two) = (try await service.logIn(), try await service.logIn())
        _ = try await service.post("/auth/log-out", ["refresh_token": .string(two.refresh)], bearer: one.access)
        #expect(try await service.refresh(one.refresh).status == .unauthorized)
        #expect(try await service.refresh(two.refresh).status == .unauthorized)
    }

    @Test("refuses a log-out that names nobody")
    func nobody() async throws {
        let service = try await TestService()
        #expect(try await service.send(.post, "/auth/log-out").status == .unauthorized)
        #expect(try await service.post("/auth/log-out", ["refresh_token": "AAAA"]).status == .unauthorized)
    }

    @Test("leaves the user's other sessions alone", arguments: [false, true])
    func others(byBearer: Bool) async throws {
        let service = try await TestService()
        try await service.addUser()
        let (ended, other) = (try await service.logIn(), try await service.logIn())
        let body: JSONObject = byBearer ? [:] : ["refresh_token": .string(ended.refresh)]
        _ = try await service.post("/auth/log-out", body, bearer: byBearer ? ended.access : nil)
        #expect(try await service.refresh(other.refresh).status == .ok)
    }

    @Test("logs out everywhere, but not other users", arguments: [false, true])
    func everywhere(byBearer: Bool) async throws {
        let service = try await TestService()
        try await service.addUser()
        try await service.addUser("bob")
        let (one, two, bob) = (try await service.logIn(), try await service.logIn(), try await service.logIn("bob"))
        let body: JSONObject = byBearer ? [:] : ["refresh_token": .string(one.refresh)]
        let answer = try await service.post("/auth/log-out-everywhere", body, bearer: byBearer ? one.access : nil)
        #expect(answer.status == .noContent)
        #expect(try await service.refresh(one.refresh).status == .unauthorized)
        #expect(try await service.refresh(two.refresh).status == .unauthorized)
        #expect(try await service.refresh(bob.refresh).status == .ok)
    }

    @Test("a changed password ends the other sessions, and is the one that counts")
    func password() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (mine, other) = (try await service.logIn(), try await service.logIn())
        let answer = try await service.post(
            "/auth/password", ["current": "correct horse", "new": "battery staple"], bearer: mine.access)
        #expect(answer.status == .noContent)
        #expect(try await service.refresh(mine.refresh).status == .ok)
        #expect(try await service.refresh(other.refresh).status == .unauthorized)
        #expect(
            try await service.post("/auth/log-in", ["username": "alice", "password": "correct horse"]).status
                == .unauthorized)
        #expect(
            try await service.post("/auth/log-in", ["username": "alice", "password": "battery staple"]).status == .ok)
    }

    @Test("a wrong current password changes nothing")
    func wrongPassword() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (mine, other) = (try await service.logIn(), try await service.logIn())
        let answer = try await service.post(
            "/auth/password", ["current": "wrong", "new": "battery staple"], bearer: mine.access)
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_grant")
        #expect(try await service.refresh(other.refresh).status == .ok)
    }

    @Test("an operator's change ends all sessions", arguments: ["disable", "remove", "set-password"])
    func operators(action: String) async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        let pair = try await service.logIn()
        switch action {
        case "disable": try await service.accounts.setDisabled(user, true)
        case "remove": try await service.accounts.remove(user)
        default: try await service.accounts.setPassword(of: user, .password("battery staple"))
        }
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
    }

    @Test("enabling a user again doesn't bring their sessions back")
    func enable() async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        let pair = try await service.logIn()
        try await service.accounts.setDisabled(user, true)
        try await service.accounts.setDisabled(user, false)
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
        #expect(
            try await service.post("/auth/log-in", ["username": "alice", "password": "correct horse"]).status == .ok)
    }
}
