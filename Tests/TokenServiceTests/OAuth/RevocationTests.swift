import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Revocation (RFC 7009)")
struct RevocationTests {
    private func revoke(_ service: TestService, _ token: String, as client: TestService.TestClient) async throws {
        let answer = try await service.form("/oauth2/revoke", ["token": token], as: client)
        #expect(answer.status == .ok)
        #expect(answer.body.isEmpty)
    }

    @Test("of a machine's token ends all under its bit, and the machine goes on with another bit at once")
    func own() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let (first, second) = (try await service.token(of: job), try await service.token(of: job))
        try await revoke(service, first, as: job)
        for token in [first, second] {
            #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
        }
        let next = try await service.token(of: job)
        #expect(try await service.get("/auth/me", bearer: next).status == .ok)
        service.clock.advance(.milliseconds(500))
        #expect(try await service.isEnded(second))
        #expect(try await !service.isEnded(next))
    }

    @Test("a second time changes nothing")
    func twice() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let token = try await service.token(of: job)
        try await revoke(service, token, as: job)
        let next = try await service.token(of: job)
        try await revoke(service, token, as: job)
        #expect(try await service.get("/auth/me", bearer: next).status == .ok)
        #expect(try await service.audit().count { $0["event"] == "client_tokens_revoked" } == 1)
    }

    @Test("of others' tokens needs the permission, and does nothing without", arguments: [false, true])
    func others(may: Bool) async throws {
        let service = try await TestService()
        try await service.addUser()
        let job = try await service.addClient()
        let janitor = try await service.addClient("janitor", may: may ? ["revoke"] : ["introspect", "exchange"])
        let (byAccess, byRefresh) = (try await service.logIn(), try await service.logIn())
        let machine = try await service.token(of: job)
        for token in [byAccess.access, byRefresh.refresh, machine] { try await revoke(service, token, as: janitor) }
        let expected: HTTPResponse.Status = may ? .unauthorized : .ok
        for token in [byAccess.access, byRefresh.access, machine] {
            #expect(try await service.get("/auth/me", bearer: token).status == expected)
        }
        #expect(try await service.refresh(byAccess.refresh).status == expected)
        #expect(try await service.refresh(byRefresh.refresh).status == expected)
    }

    @Test("of an exchanged token is of the user's session, so that its client needs the permission")
    func exchanged() async throws {
        let service = try await TestService()
        try await service.addUser()
        let gateway = try await service.addClient("gateway", may: ["exchange"])
        let pair = try await service.logIn()
        try await revoke(service, service.exchange(pair.access, as: gateway).text("access_token"), as: gateway)
        #expect(try await service.refresh(pair.refresh).status == .ok)
    }

    @Test("answers 200 for what is no token", arguments: ["x", "a.b.c", "AAAA"])
    func unknown(token: String) async throws {
        let service = try await TestService()
        try await revoke(service, token, as: service.addClient(may: ["revoke"]))
    }

    @Test("needs a client's authentication and a token")
    func refused() async throws {
        let service = try await TestService()
        for parameters in [["token": "x"], ["token": "x", "client_id": "first-party"]] as [Parameters] {
            let answer = try await service.form("/oauth2/revoke", parameters)
            #expect(answer.status == .unauthorized)
            #expect(answer.error == "invalid_client")
        }
        let answer = try await service.form("/oauth2/revoke", [:], as: service.addClient())
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_request")
    }

    @Test("is recorded, with the client as the one who did it")
    func audit() async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        let janitor = try await service.addClient("janitor", may: ["revoke"])
        try await revoke(service, service.logIn().access, as: janitor)
        service.clock.advance(.seconds(1))
        try await revoke(service, service.token(of: janitor), as: janitor)
        let records = try await service.audit().filter { $0["actor"] == .string(janitor.id) }
        #expect(records.map { $0["event"] } == ["sessions_revoked", "client_tokens_revoked"])
        #expect(records.map { $0["subject"] } == [.string(user.id), .string(janitor.id)])
    }
}

@Suite("Introspection (RFC 7662)")
struct IntrospectionTests {
    private func introspect(_ service: TestService, _ token: String, as client: TestService.TestClient) async throws
        -> JSONObject
    {
        let answer = try await service.form("/oauth2/introspect", ["token": token], as: client)
        #expect(answer.status == .ok)
        return try answer.json
    }

    private static let inactive: JSONObject = ["active": false]

    @Test("tells what a user's token says, and whose it is")
    func user() async throws {
        let service = try await TestService()
        let user = try await service.addUser(
            claims: ["plan": "gold", "active": false, "username": "root", "token_type": "x"])
        let api = try await service.addClient("api", may: ["introspect"])
        let token = try await service.logIn().access
        let answer = try await introspect(service, token, as: api)
        #expect(answer["active"] == true)
        #expect(answer["token_type"] == "Bearer")
        #expect(answer["username"] == "alice")
        #expect(answer["sub"] == .string(user.id))
        #expect(answer["plan"] == "gold")
        for name in ["iss", "aud", "client_id", "iat", "exp", "jti", "scope", "sid"] {
            #expect(answer[name] == (try TestService.claims(token)[name]))
        }
    }

    @Test("tells a machine's token and an exchanged one")
    func others() async throws {
        let service = try await TestService()
        try await service.addUser()
        let api = try await service.addClient("api", audiences: ["other"], may: ["introspect", "exchange"])
        let machine = try await introspect(service, service.token(of: api), as: api)
        #expect(machine["active"] == true)
        #expect(machine["username"] == nil)
        let exchanged = try await service.exchange(service.logIn().access, as: api).text("access_token")
        let answer = try await introspect(service, exchanged, as: api)
        #expect(answer["username"] == "alice")
        #expect(answer["act"] == ["sub": .string(api.id)])
    }

    @Test("says no more than inactive without the permission, also of the client's own token")
    func permission() async throws {
        let service = try await TestService()
        let job = try await service.addClient(may: ["revoke", "exchange"])
        #expect(try await introspect(service, service.token(of: job), as: job) == Self.inactive)
    }

    @Test("asks the database: what another node ended a moment ago is inactive")
    func ended() async throws {
        let service = try await TestService()
        try await service.addUser()
        let api = try await service.addClient("api", may: ["introspect"])
        let job = try await service.addClient()
        let (user, machine) = (try await service.logIn(), try await service.token(of: job))
        let other = try await service.restarted([:])
        _ = try await other.post("/auth/log-out", ["refresh_token": .string(user.refresh)])
        try await other.clients.remove(job.client)
        for token in [user.access, user.refresh, machine] {
            #expect(try await introspect(service, token, as: api) == Self.inactive)
        }
    }

    @Test("takes a token for expired from its exp on, without leeway")
    func expired() async throws {
        let service = try await TestService(["access-token-lifetime": "10m"])
        let api = try await service.addClient("api", may: ["introspect"])
        let token = try await service.token(of: api)
        service.clock.advance(.seconds(599))
        #expect(try await introspect(service, token, as: api)["active"] == true)
        service.clock.advance(.seconds(1))
        #expect(try await introspect(service, token, as: api) == Self.inactive)
    }

    @Test("tells a refresh token apart from an access token, while it would work")
    func refreshToken() async throws {
        let service = try await TestService()
        try await service.addUser()
        let api = try await service.addClient("api", may: ["introspect"])
        let first = try await service.logIn().refresh
        let answer = try await introspect(service, first, as: api)
        #expect(answer["active"] == true)
        #expect(answer["token_type"] == nil)
        #expect(answer["aud"] == .string(TestService.url))
        #expect(answer["username"] == "alice")
        let second = try await service.next(first)
        #expect(try await introspect(service, first, as: api)["active"] == true)
        service.clock.advance(.seconds(31))
        #expect(try await introspect(service, first, as: api) == Self.inactive)
        #expect(try await introspect(service, second, as: api)["active"] == true)
        #expect(try await service.refresh(second).status == .ok)
    }

    @Test("of what is no token of this issuer is inactive", arguments: ["x", "a.b.c", "AAAA"])
    func unknown(token: String) async throws {
        let service = try await TestService()
        let api = try await service.addClient("api", may: ["introspect"])
        #expect(try await introspect(service, token, as: api) == Self.inactive)
    }

    @Test("needs a client's authentication and a token")
    func refused() async throws {
        let service = try await TestService()
        #expect(try await service.form("/oauth2/introspect", ["token": "x"]).status == .unauthorized)
        let answer = try await service.form("/oauth2/introspect", ["token": ""], as: service.addClient())
        #expect(answer.status == .badRequest)
    }
}
