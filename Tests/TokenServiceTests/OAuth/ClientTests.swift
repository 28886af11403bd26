import HTTPTypes
import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("Adding and removing clients")
struct ClientTests {
    private func add(_ service: TestService, _ change: (inout ClientAdministration.Request) -> Void) async throws
        -> ServiceError?
    {
        var request = ClientAdministration.Request(name: "job")
        change(&request)
        do {
            _ = try await service.clients.add(request)
            return nil
        } catch let error as ServiceError {
            return error
        }
    }

    @Test("refuses what can't be, naming the option")
    func refused() async throws {
        let service = try await TestService(["algorithms": "ES256"])
        #expect(try await add(service) { $0.name = "" }?.status == .usage)
        #expect(try await add(service) { $0.name = "a\nb" }?.status == .usage)
        #expect(try await add(service) { $0.scopes = ["a b"] }?.description.contains("--scope") == true)
        #expect(try await add(service) { $0.audiences = [""] }?.description.contains("--audience") == true)
        #expect(try await add(service) { $0.algorithm = "RS256" }?.description.contains("--algorithm RS256") == true)
        #expect(try await add(service) { $0.algorithm = "none" }?.status == .usage)
        #expect(try await add(service) { $0.permissions = ["fly"] }?.description.contains("--may fly") == true)
        for lifetime in ["11m", "0", "x", "-5m"] {
            #expect(
                try await add(service) { $0.tokenLifetime = lifetime }?.description.contains("--access-token-lifetime")
                    == true)
        }
        #expect(try await service.clients.store.clients().isEmpty)
    }

    @Test("refuses a public key that is none, is weak, or is private")
    func refusedKeys() async throws {
        let service = try await TestService()
        let key = try PrivateKey.generate(for: .es256)
        let secret = try JWK(key).privateMembers().jsonText
        for text in ["", "{}", "-----BEGIN PUBLIC KEY-----", secret, try key.pkcs8PEM()] {
            #expect(try await add(service) { $0.publicKey = text }?.description.contains("--public-key") == true)
        }
    }

    @Test("refuses a name that is taken")
    func taken() async throws {
        let service = try await TestService()
        #expect(try await add(service) { _ in } == nil)
        #expect(try await add(service) { _ in }?.status == .failed)
    }

    @Test("lists what was added")
    func listed() async throws {
        let service = try await TestService()
        let job = try await service.addClient(audiences: ["a", "b"], may: ["exchange", "introspect"], lifetime: "5m")
        let members = try #require(try await service.clients.store.clients().first).members
        #expect(members["client_id"] == .string(job.id))
        #expect(members["scope"] == "read write")
        #expect(members["audiences"] == ["a", "b"])
        #expect(members["may"] == ["introspect", "exchange"])
        #expect(members["access_token_lifetime"] == 300)
        #expect(members["rotating"] == false)
        #expect(members["client_secret"] == nil)
    }

    @Test("finds a client by its id and by its name")
    func found() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        #expect(try await service.clients.store.find(job.id).id == job.id)
        #expect(try await service.clients.store.find("job").id == job.id)
        await #expect(throws: ServiceError.self) { try await service.clients.store.find("nobody") }
    }

    @Test("is known to a running server at once, and forgotten by it within a second")
    func known() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        _ = try await service.token(of: job)
        try await service.clients.remove(job.client)
        service.clock.advance(.seconds(1))
        let answer = try await service.form("/oauth2/token", ["grant_type": "client_credentials"], as: job)
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_client")
    }

    @Test("ends the tokens of a client that is removed, and nobody else's, until the last of them has expired")
    func removed() async throws {
        let service = try await TestService(["access-token-lifetime": "10m"])
        let (job, other) = (try await service.addClient(), try await service.addClient("other"))
        let (ended, kept) = (try await service.token(of: job), try await service.token(of: other))
        try await service.clients.remove(job.client)
        // Another node gave it a token before it knew.
        let late = try await service.form("/oauth2/token", ["grant_type": "client_credentials"], as: job)
        #expect(late.status == .ok)
        service.clock.advance(.seconds(1))
        for token in [ended, try late.text("access_token")] {
            #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
            #expect(try await service.isEnded(token))
        }
        #expect(try await service.get("/auth/me", bearer: kept).status == .ok)
        service.clock.advance(.seconds(600))
        try await service.server.sweep()
        #expect(try await service.isEnded(ended))
        service.clock.advance(.seconds(3600))
        try await service.server.sweep()
        #expect(try await service.database.read { try $0.query("SELECT * FROM status_bits").count } == 0)
    }

    @Test("keeps a status list that a client has a place in")
    func list() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        _ = try await service.token(of: job)
        _ = try await service.database.write { try $0.execute("UPDATE status_lists SET leased = size") }
        service.clock.advance(.seconds(10 * 3600))
        try await service.server.sweep()
        let token = try await service.token(of: job)
        #expect(try await service.get("/auth/me", bearer: token).status == .ok)
        try await service.clients.remove(job.client)
        service.clock.advance(.seconds(10 * 3600))
        try await service.server.sweep()
        #expect(try await service.database.read { try $0.query("SELECT id FROM status_lists").count } == 0)
    }

    @Test("records what operators did")
    func audit() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        service.clock.advance(.seconds(1))
        _ = try await service.clients.rotate(job.client, publicKey: nil, immediately: false)
        service.clock.advance(.seconds(1))
        _ = try await service.clients.finishRotation(job.client)
        service.clock.advance(.seconds(1))
        try await service.clients.remove(job.client)
        let records = try await service.audit().filter { $0["subject"] == .string(job.id) }
        #expect(
            records.map { $0["event"] } == [
                "client_added", "client_credential_rotated", "client_credential_rotated", "client_removed",
            ])
        #expect(records.allSatisfy { $0["actor"] == "operator:test" })
    }
}
