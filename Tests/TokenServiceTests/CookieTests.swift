import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Cookies and origins")
struct CookieTests {
    private static let page = "https://app.example"

    /// The cookies that an answer sets, with their attributes.
    private static func cookies(_ answer: TestService.Answer) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: answer.headers[values: .setCookie].map { field in
                let parts = field.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            })
    }

    private static func value(_ name: String, _ answer: TestService.Answer) throws -> String {
        try String(#require(cookies(answer)[name]?.split(separator: ";").first))
    }

    /// A log-in by cookie, and the header that a browser sends from then on.
    private static func logIn(_ service: TestService, origin: String? = nil) async throws -> (
        TestService.Answer, String
    ) {
        var headers: HTTPFields = [.contentType: "application/json"]
        headers[.origin] = origin
        let body: JSONObject = ["username": "alice", "password": "correct horse", "delivery": "cookie"]
        let answer = try await service.send(.post, "/auth/log-in", headers: headers, body: body.json)
        guard answer.status == .ok else { return (answer, "") }
        let header = try
            "access_token=\(value("access_token", answer)); refresh_token=\(value("refresh_token", answer))"
        return (answer, header)
    }

    @Test("carry the tokens of a log-in, and the body doesn't")
    func delivery() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (answer, _) = try await Self.logIn(service)
        #expect(Set(try answer.json.members.map(\.name)) == ["token_type", "expires_in", "scope"])
        let cookies = Self.cookies(answer)
        #expect(cookies["access_token"]?.hasSuffix("; Path=/; Max-Age=600; HttpOnly; SameSite=Strict") == true)
        #expect(cookies["refresh_token"]?.hasSuffix("; Path=/auth; Max-Age=1209600; HttpOnly; SameSite=Strict") == true)
    }

    @Test("are secure, and named so, on an https issuer")
    func secure() async throws {
        let service = try await TestService(["issuer": "https://id.example"])
        try await service.addUser()
        let body: JSONObject = ["username": "alice", "password": "correct horse", "delivery": "cookie"]
        let cookies = Self.cookies(try await service.post("/auth/log-in", body))
        #expect(Set(cookies.keys) == ["__Host-access_token", "__Secure-refresh_token"])
        #expect(cookies.values.allSatisfy { $0.hasSuffix("; Secure") })
    }

    @Test("are asked for in JSON only, which no form of another site can send")
    func form() async throws {
        let service = try await TestService()
        try await service.addUser()
        let answer = try await service.send(
            .post, "/auth/log-in", headers: [.contentType: "application/x-www-form-urlencoded"],
            body: Array("username=alice&password=correct+horse&delivery=cookie".utf8))
        #expect(answer.status == .unsupportedMediaType)
        #expect(answer.headers[.setCookie] == nil)
    }

    @Test("name the caller of /auth/me, but after the header")
    func me() async throws {
        let service = try await TestService()
        try await service.addUser()
        try await service.addUser("bob")
        let (_, cookie) = try await Self.logIn(service)
        let bob = try await service.logIn("bob").access
        #expect(try await service.get("/auth/me", headers: [.cookie: cookie]).status == .ok)
        let both = try await service.get("/auth/me", bearer: bob, headers: [.cookie: cookie])
        #expect(both.body == (try await service.get("/auth/me", bearer: bob).body))
        #expect(try await service.get("/auth/me", bearer: "x.y.z", headers: [.cookie: cookie]).status == .unauthorized)
    }

    @Test("count where the header has another scheme")
    func otherScheme() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (_, cookie) = try await Self.logIn(service)
        let headers: HTTPFields = [.cookie: cookie, .authorization: "Basic YTpi"]
        #expect(try await service.get("/auth/me", headers: headers).status == .ok)
        #expect(try await service.get("/auth/me", headers: [.authorization: "Digest a=b, c=d"]).status == .unauthorized)
    }

    @Test("that are dead are cleared by a log-out, too")
    func dead() async throws {
        let service = try await TestService()
        let out = try await service.send(.post, "/auth/log-out", headers: [.cookie: "access_token=x; refresh_token=y"])
        #expect(out.status == .unauthorized)
        #expect(Self.cookies(out).count == 2)
    }

    @Test("are renewed by a refresh, and cleared by a log-out that ends the session")
    func wholeWay() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (_, cookie) = try await Self.logIn(service)
        let refreshed = try await service.send(.post, "/auth/refresh", headers: [.cookie: cookie])
        #expect(refreshed.status == .ok)
        #expect(try refreshed.json["refresh_token"] == nil)
        let next = try "refresh_token=" + Self.value("refresh_token", refreshed)
        let out = try await service.send(.post, "/auth/log-out", headers: [.cookie: next])
        #expect(out.status == .noContent)
        let cleared = Self.cookies(out)
        #expect(Set(cleared.keys) == ["access_token", "refresh_token"])
        #expect(cleared.values.allSatisfy { $0.hasPrefix("; ") && $0.contains("Max-Age=0") })
        #expect(try await service.send(.post, "/auth/refresh", headers: [.cookie: next]).status == .unauthorized)
        #expect(try await service.get("/auth/me", headers: [.cookie: cookie]).status == .unauthorized)
    }

    @Test(
        "are neither taken from nor set for a page of another site",
        arguments: ["https://evil.example", "null", "http://127.0.0.1:8081", "https://127.0.0.1:8080"])
    func foreign(origin: String) async throws {
        let service = try await TestService(["cors-origins": Self.page])
        try await service.addUser()
        let (refused, _) = try await Self.logIn(service, origin: origin)
        #expect(refused.status == .forbidden)
        #expect(refused.headers[.setCookie] == nil)
        let (_, cookie) = try await Self.logIn(service)
        let headers: HTTPFields = [.cookie: cookie, .origin: origin, .contentType: "application/json"]
        for path in ["/auth/refresh", "/auth/log-out", "/auth/log-out-everywhere"] {
            let answer = try await service.send(.post, path, headers: headers)
            #expect(answer.status == .forbidden)
            #expect(answer.headers[.setCookie] == nil)
        }
        let body: JSONObject = ["current": "correct horse", "new": "battery staple"]
        #expect(try await service.send(.post, "/auth/password", headers: headers, body: body.json).status == .forbidden)
        let sessions = try await service.get("/auth/sessions", headers: [.cookie: cookie])
        let id = try #require(try JSONValue(json: sessions.body).array?.first?.object?["id"]?.string)
        #expect(try await service.send(.delete, "/auth/sessions/\(id)", headers: headers).status == .forbidden)
        #expect(try await service.get("/auth/me", headers: [.cookie: cookie]).status == .ok)
        #expect(try await service.send(.post, "/auth/refresh", headers: [.cookie: cookie]).status == .ok)
    }

    @Test("are taken from the issuer's own pages and those that are allowed", arguments: [TestService.url, page])
    func allowed(origin: String) async throws {
        let service = try await TestService(["cors-origins": Self.page])
        try await service.addUser()
        let (answer, cookie) = try await Self.logIn(service, origin: origin)
        #expect(answer.status == .ok)
        let headers: HTTPFields = [.cookie: cookie, .origin: origin]
        #expect(try await service.send(.post, "/auth/refresh", headers: headers).status == .ok)
    }

    @Test("a page of an allowed origin may read every answer, any other none", arguments: [true, false])
    func sharing(isAllowed: Bool) async throws {
        let service = try await TestService(["cors-origins": "https://other.example, \(Self.page)"])
        let origin = isAllowed ? Self.page : "https://evil.example"
        let answer = try await service.get("/auth/me", headers: [.origin: origin])
        #expect(answer.status == .unauthorized)
        #expect(answer.headers[.vary] == "Origin")
        #expect(answer.headers[.accessControlAllowOrigin] == (isAllowed ? origin : nil))
        #expect(answer.headers[.accessControlAllowCredentials] == (isAllowed ? "true" : nil))
    }

    @Test("a preflight is 204, and allows only what is allowed", arguments: [true, false])
    func preflight(isAllowed: Bool) async throws {
        let service = try await TestService(["cors-origins": Self.page])
        let origin = isAllowed ? Self.page : "https://evil.example"
        let answer = try await service.send(
            .options, "/auth/log-in",
            headers: [
                .origin: origin, .accessControlRequestMethod: "POST", .accessControlRequestHeaders: "content-type",
            ])
        #expect(answer.status == .noContent)
        #expect(answer.headers[.vary] == "Origin")
        #expect(answer.headers[.accessControlAllowOrigin] == (isAllowed ? origin : nil))
        #expect(answer.headers[.accessControlAllowMethods] == (isAllowed ? "POST" : nil))
    }

    @Test("a published document answers a preflight of any origin")
    func publicPreflight() async throws {
        let service = try await TestService()
        let answer = try await service.send(
            .options, "/.well-known/jwks.json",
            headers: [.origin: "https://any.example", .accessControlRequestMethod: "GET"])
        #expect(answer.status == .noContent)
        #expect(answer.headers[.accessControlAllowOrigin] == "*")
    }

    @Test(
        "an origin is set as browsers spell it",
        arguments: [
            "app.example", "https://app.example/", "https://App.example", "https://app.example:443", "*", "null",
            "ftp://app.example", "https://app.example/path", "https://a.example,",
        ])
    func badOrigins(text: String) async throws {
        let error = await #expect(throws: ServiceError.self) { try await TestService(["cors-origins": text]) }
        #expect(error?.status == .configuration)
    }
}

@Suite("The caller's sessions")
struct SessionRouteTests {
    @Test("are listed with the current one marked, the youngest first, and nobody else's")
    func lists() async throws {
        let service = try await TestService()
        try await service.addUser()
        try await service.addUser("bob")
        _ = try await service.logIn("bob")
        _ = try await service.logIn()
        service.clock.advance(.seconds(10))
        let current = try await service.logIn().access
        let ended = try await service.logIn().access
        _ = try await service.post("/auth/log-out", [:], bearer: ended)
        let answer = try await service.get("/auth/sessions", bearer: current)
        let sessions = try #require(try JSONValue(json: answer.body).array?.compactMap(\.object))
        #expect(sessions.map { $0["current"] } == [true, false])
        #expect(sessions.allSatisfy { $0["user"] == "alice" })
        #expect(
            Set(sessions[0].members.map(\.name)) == [
                "id", "user", "created_at", "last_used_at", "expires_at", "address", "user_agent", "current",
            ])
    }

    @Test("of somebody else, or made up, can't be ended")
    func foreign() async throws {
        let service = try await TestService()
        try await service.addUser()
        try await service.addUser("bob")
        let (alice, bob) = (try await service.logIn(), try await service.logIn("bob"))
        let sid = try #require(try JWTClaims(json: JWS(compact: bob.access).payload).members["sid"]?.string)
        for id in [sid, "AAAAAAAAAAAAAAAAAAAAAA", "%00", "..", String(repeating: "A", count: 3000)] {
            let answer = try await service.send(
                .delete, "/auth/sessions/" + id, headers: [.authorization: "Bearer \(alice.access)"])
            #expect(answer.status == .notFound)
        }
        #expect(try await service.get("/auth/me", bearer: bob.access).status == .ok)
    }

    @Test("are ended once, and again without harm")
    func twice() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (mine, other) = (try await service.logIn(), try await service.logIn())
        let sid = try #require(try JWTClaims(json: JWS(compact: other.access).payload).members["sid"]?.string)
        for _ in 0..<2 {
            let answer = try await service.send(
                .delete, "/auth/sessions/" + sid, headers: [.authorization: "Bearer \(mine.access)"])
            #expect(answer.status == .noContent)
        }
        #expect(try await service.refresh(other.refresh).status == .unauthorized)
        #expect(try await service.refresh(mine.refresh).status == .ok)
        let audit = try await service.audit().filter { $0["event"] == "session_ended" }
        #expect(audit.count == 1)
    }
}
