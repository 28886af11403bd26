import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("The protected endpoint /auth/me")
struct ProtectedEndpointTests {
    @Test("answers the token's claims without asking the database")
    func claims() async throws {
        let service = try await TestService()
        let user = try await service.addUser(claims: ["plan": "gold"])
        let token = try await service.logIn().access
        let count = service.database.count
        let answer = try await service.get("/auth/me", bearer: token)
        #expect(answer.status == .ok)
        #expect(try answer.json["sub"] == .string(user.id))
        #expect(try answer.json["plan"] == "gold")
        #expect(service.database.count == count)
    }

    @Test("takes the scheme in any letter case", arguments: ["Bearer", "bearer", "BEARER"])
    func scheme(scheme: String) async throws {
        let service = try await TestService()
        try await service.addUser()
        let token = try await service.logIn().access
        #expect(try await service.get("/auth/me", headers: [.authorization: "\(scheme) \(token)"]).status == .ok)
    }

    @Test("challenges a request without a token, without an error code")
    func noToken() async throws {
        let answer = try await TestService().get("/auth/me")
        #expect(answer.status == .unauthorized)
        #expect(answer.headers[.wwwAuthenticate] == "Bearer")
    }

    @Test(
        "refuses what isn't one valid bearer token", arguments: ["Bearer", "Bearer a b", "Bearer abc", "Bearer a.b.c"])
    func invalid(field: String) async throws {
        let answer = try await TestService().get("/auth/me", headers: [.authorization: field])
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_token")
        #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer error=\"invalid_token\"") == true)
    }

    @Test("accepts a token to its expiry and the leeway, and not longer")
    func expiry() async throws {
        let service = try await TestService(["access-token-lifetime": "5m", "clock-leeway": "10s"])
        try await service.addUser()
        let token = try await service.logIn().access
        service.clock.advance(.seconds(309))
        #expect(try await service.get("/auth/me", bearer: token).status == .ok)
        service.clock.advance(.seconds(1))
        #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
    }

    @Test("refuses a token of another service", arguments: ["issuer", "audience"])
    func elsewhere(setting: String) async throws {
        let (service, other) = (try await TestService(), try await TestService([setting: "https://other.example"]))
        try await other.addUser()
        #expect(try await service.get("/auth/me", bearer: other.logIn().access).status == .unauthorized)
    }
}
