import Foundation
import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("A machine's token")
struct ClientCredentialsTests {
    private static let grant: Parameters = ["grant_type": "client_credentials"]

    @Test("says who the machine is, and names a bit of its own")
    func claims() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let answer = try await service.form("/oauth2/token", Self.grant, as: job)
        #expect(answer.status == .ok)
        #expect(answer.headers[.cacheControl] == "no-store")
        #expect(try Set(answer.json.members.map(\.name)) == ["access_token", "token_type", "expires_in", "scope"])
        let claims = try answer.claims
        #expect(claims["sub"] == .string(job.id))
        #expect(claims["client_id"] == .string(job.id))
        #expect(claims["aud"] == .string(TestService.url))
        #expect(claims["scope"] == "read write")
        #expect(claims["sid"] == nil)
        #expect(claims["status"] != nil)
    }

    @Test("is accepted at /auth/me, and has no sessions to show")
    func use() async throws {
        let service = try await TestService()
        let token = try await service.token(of: service.addClient())
        #expect(try await service.get("/auth/me", bearer: token).status == .ok)
        #expect(try await service.get("/auth/sessions", bearer: token).status == .unauthorized)
        #expect(try await service.post("/auth/log-out", [:], bearer: token).status == .unauthorized)
    }

    @Test("costs no query once its client is known, for a second")
    func queries() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        _ = try await service.token(of: job)
        let count = service.database.count
        _ = try await service.token(of: job)
        #expect(service.database.count == count)
    }

    @Test("shares its bit with the client's other tokens, and with nobody else's")
    func bit() async throws {
        let service = try await TestService()
        let (job, other) = (try await service.addClient(), try await service.addClient("other"))
        let status = try await TestService.claims(service.token(of: job))["status"]
        #expect(try await TestService.claims(service.token(of: job))["status"] == status)
        #expect(try await TestService.claims(service.token(of: other))["status"] != status)
    }

    @Test("has the scopes that were asked for, of those that the client may have")
    func scope() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let answer = try await service.form("/oauth2/token", Self.grant + ["scope": "write"], as: job)
        #expect(try answer.text("scope") == "write")
        #expect(try answer.claims["scope"] == "write")
        let refused = try await service.form("/oauth2/token", Self.grant + ["scope": "write admin"], as: job)
        #expect(refused.status == .badRequest)
        #expect(refused.error == "invalid_scope")
    }

    @Test("has no scope claim where the client has no scopes")
    func noScope() async throws {
        let service = try await TestService()
        let answer = try await service.form("/oauth2/token", Self.grant, as: service.addClient(scopes: []))
        #expect(try answer.json["scope"] == nil)
        #expect(try answer.claims["scope"] == nil)
    }

    @Test(
        "is for the audience that was asked for, the client's first unless told",
        arguments: [
            ([:], .string("https://a.example")), (["resource": "https://b.example"], .string("https://b.example")),
            (["audience": "c"], .string("c")),
            (["resource": "https://b.example", "audience": "c"], .array(["https://b.example", "c"])),
        ] as [(Parameters, JSONValue)])
    func audience(asked: Parameters, expected: JSONValue) async throws {
        let service = try await TestService()
        let job = try await service.addClient(audiences: ["https://a.example", "https://b.example", "c"])
        #expect(try await service.form("/oauth2/token", Self.grant + asked, as: job).claims["aud"] == expected)
    }

    @Test(
        "is refused for an audience that the client may not ask for, and for a resource that is no absolute URI",
        arguments: [
            ["resource": "https://b.example"], ["audience": TestService.url], ["resource": "c"],
            ["resource": "https://a.example", "audience": "x"], ["resource": "https://a.example#f"],
        ] as [Parameters])
    func foreignAudience(asked: Parameters) async throws {
        let service = try await TestService()
        let job = try await service.addClient(audiences: ["https://a.example", "https://a.example#f", "c"])
        let answer = try await service.form("/oauth2/token", Self.grant + asked, as: job)
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_target")
    }

    @Test("is signed with the client's algorithm, beside others")
    func algorithm() async throws {
        let service = try await TestService(["algorithms": "ES256,RS256"])
        let (job, legacy) = (try await service.addClient(), try await service.addClient("legacy", algorithm: "RS256"))
        #expect(try await JWS(compact: service.token(of: job)).header.algorithmName == "ES256")
        let token = try await service.token(of: legacy)
        #expect(try JWS(compact: token).header.algorithmName == "RS256")
        #expect(try await service.get("/auth/me", bearer: token).status == .ok)
    }

    @Test("isn't signed with another algorithm than the client's, where no key has that any more")
    func removedAlgorithm() async throws {
        let service = try await TestService(["algorithms": "ES256,RS256"])
        let legacy = try await service.addClient(algorithm: "RS256")
        let other = try await service.restarted(["algorithms": "ES256"])
        other.clock.advance(.seconds(7200))
        let answer = try await other.form("/oauth2/token", Self.grant, as: legacy)
        #expect(answer.status == .serviceUnavailable)
        #expect(answer.headers[HTTPField.Name("Retry-After")!] != nil)
    }

    @Test("lives as long as the client's tokens do, and never longer than the service's")
    func lifetime() async throws {
        let service = try await TestService(["access-token-lifetime": "10m"])
        let job = try await service.addClient(lifetime: "5m")
        let claims = try await TestService.claims(service.token(of: job))
        #expect(claims["exp"]!.integer! - claims["iat"]!.integer! == 300)
        let other = try await service.restarted(["access-token-lifetime": "2m"])
        #expect(try await other.form("/oauth2/token", Self.grant, as: job).json["expires_in"] == 120)
    }

    @Test("isn't for the public client of log-ins, nor for nobody")
    func publicClient() async throws {
        let service = try await TestService()
        let answer = try await service.form("/oauth2/token", Self.grant + ["client_id": "first-party"])
        #expect(answer.status == .badRequest)
        #expect(answer.error == "unauthorized_client")
        let nobody = try await service.form("/oauth2/token", Self.grant)
        #expect(nobody.status == .unauthorized)
        #expect(nobody.error == "invalid_client")
        #expect(nobody.headers[.wwwAuthenticate] == "Basic realm=\"oauth2\"")
    }
}
