import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Refreshing at the token endpoint")
struct OAuthRefreshTests {
    private func refresh(_ service: TestService, _ token: String, _ more: Parameters = [:]) async throws
        -> TestService.Answer
    {
        try await service.form("/oauth2/token", ["grant_type": "refresh_token", "refresh_token": token] + more)
    }

    @Test(
        "answers the next pair to the public client and to who names none",
        arguments: [[:], ["client_id": "first-party"]] as [Parameters])
    func pair(client: Parameters) async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn()
        let answer = try await refresh(service, first.refresh, client)
        #expect(answer.status == .ok)
        #expect(
            try Set(answer.json.members.map(\.name))
                == ["access_token", "token_type", "expires_in", "refresh_token", "scope"])
        #expect(try await service.refresh(answer.text("refresh_token")).status == .ok)
    }

    @Test("answers a lost answer again")
    func again() async throws {
        let service = try await TestService()
        try await service.addUser()
        let first = try await service.logIn()
        let next = try await refresh(service, first.refresh).text("refresh_token")
        #expect(try await refresh(service, first.refresh).text("refresh_token") == next)
    }

    @Test("refuses with 400 what /auth/refresh refuses with 401")
    func refused() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.next(service.next(pair.refresh))
        for token in [pair.refresh, "AAAA", pair.access] {
            let answer = try await refresh(service, token)
            #expect(answer.status == .badRequest)
            #expect(answer.error == "invalid_grant")
        }
    }

    @Test("isn't for another client, though it has the token")
    func otherClient() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let parameters: Parameters = ["grant_type": "refresh_token", "refresh_token": pair.refresh]
        let answer = try await service.form("/oauth2/token", parameters, as: service.addClient())
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_grant")
        #expect(try await service.refresh(pair.refresh).status == .ok)
    }

    @Test("narrows the access token's scopes, and not the session's")
    func scope() async throws {
        let service = try await TestService()
        try await service.addUser()
        let narrow = try await refresh(service, service.logIn().refresh, ["scope": "write"])
        #expect(try narrow.text("scope") == "write")
        #expect(try narrow.claims["scope"] == "write")
        #expect(try await refresh(service, narrow.text("refresh_token")).text("scope") == "read write")
    }

    @Test("doesn't use the token up where a scope is asked for that the session doesn't have")
    func foreignScope() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let answer = try await refresh(service, pair.refresh, ["scope": "admin"])
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_scope")
        service.clock.advance(.seconds(60))
        #expect(try await service.refresh(pair.refresh).status == .ok)
    }

    @Test("is for the service's own audience")
    func audience() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        #expect(try await refresh(service, pair.refresh, ["resource": "https://x.example"]).error == "invalid_target")
        #expect(try await refresh(service, pair.refresh, ["resource": TestService.url]).status == .ok)
    }
}
