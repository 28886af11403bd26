import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Token exchange (RFC 8693)")
struct TokenExchangeTests {
    /// A service with a user and a client that may exchange tokens.
    private struct Setup {
        let service: TestService
        let gateway: TestService.TestClient
        let pair: TestService.Pair

        init(_ flags: [String: String] = [:]) async throws {
            service = try await TestService(flags)
            try await service.addUser(claims: ["plan": "gold"])
            gateway = try await service.addClient(
                "gateway", scopes: ["read", "admin"], audiences: ["https://orders.example", "billing"],
                may: ["exchange"])
            pair = try await service.logIn()
        }
    }

    @Test("answers a token about the user, for another audience, with the scopes that both have")
    func exchange() async throws {
        let setup = try await Setup()
        let answer = try await setup.service.exchange(setup.pair.access, as: setup.gateway)
        #expect(answer.status == .ok)
        #expect(try answer.text("issued_token_type") == "urn:ietf:params:oauth:token-type:access_token")
        #expect(try answer.text("token_type") == "Bearer")
        #expect(try answer.text("scope") == "read")
        let (before, after) = (try TestService.claims(setup.pair.access), try answer.claims)
        for name in ["sub", "sid", "status", "plan", "iss"] { #expect(after[name] == before[name]) }
        #expect(after["aud"] == "https://orders.example")
        #expect(after["client_id"] == .string(setup.gateway.id))
        #expect(after["act"] == ["sub": .string(setup.gateway.id)])
        #expect(after["jti"] != before["jti"])
    }

    @Test("keeps the chain of those who act, the last in front")
    func chain() async throws {
        let setup = try await Setup()
        let orders = try await setup.service.addClient("orders", audiences: ["stock"], may: ["exchange"])
        let first = try await setup.service.exchange(setup.pair.access, as: setup.gateway).text("access_token")
        let second = try await setup.service.exchange(first, as: orders).claims
        #expect(second["act"] == ["sub": .string(orders.id), "act": ["sub": .string(setup.gateway.id)]])
        #expect(second["client_id"] == .string(orders.id))
    }

    @Test("refuses a token that went through eight services already")
    func longChain() async throws {
        let setup = try await Setup()
        var token = setup.pair.access
        for _ in 0..<8 { token = try await setup.service.exchange(token, as: setup.gateway).text("access_token") }
        #expect(try await setup.service.exchange(token, as: setup.gateway).error == "invalid_request")
    }

    @Test("never lets the token outlive the one it came from")
    func lifetime() async throws {
        let setup = try await Setup(["access-token-lifetime": "10m"])
        let expiresAt = try TestService.claims(setup.pair.access)["exp"]
        setup.service.clock.advance(.seconds(200))
        let answer = try await setup.service.exchange(setup.pair.access, as: setup.gateway)
        #expect(try answer.claims["exp"] == expiresAt)
        #expect(try answer.json["expires_in"] == 400)
        setup.service.clock.advance(.seconds(400))
        #expect(try await setup.service.exchange(setup.pair.access, as: setup.gateway).error == "invalid_request")
    }

    @Test("ends the token with the session of the user")
    func ended() async throws {
        let setup = try await Setup()
        let token = try await setup.service.exchange(setup.pair.access, as: setup.gateway).text("access_token")
        _ = try await setup.service.post("/auth/log-out", ["refresh_token": .string(setup.pair.refresh)])
        #expect(try await setup.service.isEnded(token))
        #expect(try await setup.service.exchange(setup.pair.access, as: setup.gateway).error == "invalid_request")
        #expect(try await setup.service.exchange(token, as: setup.gateway).error == "invalid_request")
    }

    @Test("gives the token no say over the user's sessions, though it is for the service itself")
    func sessions() async throws {
        let setup = try await Setup()
        let proxy = try await setup.service.addClient("proxy", may: ["exchange"])
        let token = try await setup.service.exchange(setup.pair.access, as: proxy).text("access_token")
        #expect(try await setup.service.get("/auth/me", bearer: token).status == .ok)
        #expect(try await setup.service.get("/auth/sessions", bearer: token).status == .unauthorized)
        for path in ["/auth/log-out", "/auth/log-out-everywhere", "/auth/password"] {
            let body: JSONObject = ["current": "correct horse", "new": "battery staple"]
            #expect(try await setup.service.post(path, body, bearer: token).status == .unauthorized)
        }
        #expect(try await setup.service.refresh(setup.pair.refresh).status == .ok)
    }

    @Test(
        "narrows the scopes, and refuses those that the user or the client doesn't have",
        arguments: [
            ("read", nil), ("write", "invalid_scope"), ("admin", "invalid_scope"), ("read write", "invalid_scope"),
            (" ", "invalid_scope"),
        ] as [(String, String?)])
    func scope(asked: String, error: String?) async throws {
        let setup = try await Setup()
        let answer = try await setup.service.exchange(setup.pair.access, as: setup.gateway, ["scope": asked])
        #expect(answer.error == error)
        if error == nil { #expect(try answer.claims["scope"] == .string(asked)) }
    }

    @Test("is for clients that may, with credentials")
    func permission() async throws {
        let setup = try await Setup()
        let job = try await setup.service.addClient()
        let answer = try await setup.service.exchange(setup.pair.access, as: job)
        #expect(answer.status == .badRequest)
        #expect(answer.error == "unauthorized_client")
    }

    @Test(
        "refuses what it can't do, and tokens that aren't the issuer's access tokens",
        arguments: [
            ("subject_token", nil), ("subject_token", "a.b.c"), ("subject_token_type", nil),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), ("subject_token_type", "jwt"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("actor_token", "a.b.c"),
        ] as [(String, String?)])
    func refused(name: String, value: String?) async throws {
        let setup = try await Setup()
        let parameters: Parameters = [
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": setup.pair.access,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        ]
        #expect(try await setup.service.form("/oauth2/token", parameters, as: setup.gateway).status == .ok)
        let answer = try await setup.service.form("/oauth2/token", parameters.with(name, value), as: setup.gateway)
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_request")
    }

    @Test("refuses a refresh token, and a status list token")
    func others() async throws {
        let setup = try await Setup()
        #expect(try await setup.service.exchange(setup.pair.refresh, as: setup.gateway).error == "invalid_request")
        let claims = try TestService.claims(setup.pair.access)
        let uri = try #require(claims["status"]?.object?["status_list"]?.object?["uri"]?.string)
        let list = try await setup.service.get(String(uri.dropFirst(TestService.url.count)))
        let text = String(decoding: list.body, as: UTF8.self)
        #expect(try await setup.service.exchange(text, as: setup.gateway).error == "invalid_request")
    }

    @Test("takes an actor token of the client's own, and of nobody else")
    func actor() async throws {
        let setup = try await Setup()
        let type: Parameters = ["actor_token_type": "urn:ietf:params:oauth:token-type:access_token"]
        let (own, job) = (
            try await setup.service.token(of: setup.gateway),
            try await setup.service.token(of: setup.service.addClient())
        )
        let good = try await setup.service.exchange(setup.pair.access, as: setup.gateway, type + ["actor_token": own])
        #expect(try good.claims["act"] == ["sub": .string(setup.gateway.id)])
        for other in [job, setup.pair.access] {
            let answer = try await setup.service.exchange(
                setup.pair.access, as: setup.gateway, type + ["actor_token": other])
            #expect(answer.error == "invalid_request")
        }
    }

    @Test(
        "is for an audience of the client's",
        arguments: [
            (["audience": "billing"], nil), (["resource": "https://orders.example"], nil),
            (["audience": "stock"], "invalid_target"), (["audience": TestService.url], "invalid_target"),
            (["resource": "billing"], "invalid_target"),
        ] as [(Parameters, String?)])
    func audience(asked: Parameters, error: String?) async throws {
        let setup = try await Setup()
        let answer = try await setup.service.exchange(setup.pair.access, as: setup.gateway, asked)
        #expect(answer.error == error)
        if error == nil { #expect(try answer.claims["aud"] == .string(asked.all[0].value)) }
    }
}
