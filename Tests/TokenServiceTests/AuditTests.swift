import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("The audit log")
struct AuditTests {
    @Test("says who did what, with how it ended")
    func records() async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        service.clock.advance(.seconds(1))
        let pair = try await service.logIn()
        service.clock.advance(.seconds(1))
        _ = try await service.post("/auth/log-in", ["username": "alice", "password": "wrong"])
        service.clock.advance(.seconds(1))
        _ = try await service.post("/auth/log-in", ["username": "nobody", "password": "wrong"])
        service.clock.advance(.seconds(1))
        _ = try await service.next(service.next(pair.refresh))
        service.clock.advance(.seconds(1))
        _ = try await service.refresh(pair.refresh)
        service.clock.advance(.seconds(1))
        let records = try await service.audit().filter { $0["event"] != "key_made" }
        let id = JSONValue.string(user.id)
        #expect(records.map { $0["event"] } == ["user_added", "log_in", "log_in", "log_in", "refresh"])
        #expect(records.map { $0["outcome"] } == ["success", "success", "refused", "refused", "reused"])
        #expect(records.map { $0["actor"] } == ["operator:test", id, .null, .null, .null])
        #expect(records.map { $0["subject"] } == [id, id, id, .null, id])
    }

    @Test("records an ending once, however often it is asked for")
    func once() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        for _ in 0..<3 { _ = try await service.post("/auth/log-out", ["refresh_token": .string(pair.refresh)]) }
        for _ in 0..<3 { _ = try await service.post("/auth/log-out", [:], bearer: pair.access) }
        #expect(try await service.audit().count { $0["event"] == "log_out" } == 1)
    }

    @Test("records that a dead session's refresh token came once, however often it comes")
    func refusedRefresh() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.post("/auth/log-out", ["refresh_token": .string(pair.refresh)])
        for _ in 0..<3 { #expect(try await service.refresh(pair.refresh).status == .unauthorized) }
        #expect(try await service.audit().count { $0["event"] == "refresh" && $0["outcome"] == "refused" } == 1)
    }

    @Test("has the first keys, and holds no name that was typed, no password and no token")
    func secrets() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.post("/auth/log-in", ["username": "my-secret-password", "password": "alice"])
        _ = try await service.post(
            "/auth/password", ["current": "correct horse", "new": "battery staple"], bearer: pair.access)
        let records = try await service.audit()
        #expect(records.contains { $0["event"] == "key_made" && $0["actor"] == "service" })
        let text = records.map(\.jsonText).joined()
        for secret in ["my-secret-password", "correct horse", "battery staple", pair.access, pair.refresh] {
            #expect(!text.contains(secret))
        }
    }

    @Test("keeps records for as long as audit-retention says")
    func retention() async throws {
        let service = try await TestService(["audit-retention": "1d"])
        try await service.addUser()
        let count = try await service.audit().count
        service.clock.advance(.seconds(86_400))
        try await service.server.sweep()
        #expect(try await service.audit().count == count)
        service.clock.advance(.microseconds(1))
        try await service.server.sweep()
        #expect(try await service.audit().isEmpty)
    }
}
