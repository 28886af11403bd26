import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("Logging in")
struct LogInTests {
    @Test("answers a bearer token with the user's claims and a refresh token")
    func tokens() async throws {
        let service = try await TestService()
        let user = try await service.addUser(claims: ["plan": "gold", "premium": true])
        let answer = try await service.post("/auth/log-in", ["username": "alice", "password": "correct horse"])
        #expect(answer.status == .ok)
        #expect(answer.headers[.cacheControl] == "no-store")
        #expect(try answer.json["token_type"] == "Bearer")
        #expect(try answer.json["expires_in"] == 600)
        #expect(try answer.json["scope"] == "read write")

        let jws = try JWS(compact: answer.text("access_token"))
        #expect(jws.header.type == "at+jwt")
        let claims = try JWTClaims(json: jws.payload)
        #expect(claims.issuer == TestService.url)
        #expect(claims.audiences == [TestService.url])
        #expect(claims.subject == user.id)
        #expect(claims.issuedAt == Instant(seconds: service.clock.now.seconds))
        #expect(claims.expiresAt == Instant(seconds: service.clock.now.seconds + 600))
        #expect(claims.members["client_id"] == "first-party")
        #expect(claims.members["plan"] == "gold")
        #expect(claims.members["premium"] == true)
    }

    @Test("takes a form, too")
    func form() async throws {
        let service = try await TestService()
        try await service.addUser()
        let answer = try await service.send(
            .post, "/auth/log-in", headers: [.contentType: "application/x-www-form-urlencoded; charset=utf-8"],
            body: Array("username=alice&password=correct+h%6Frse".utf8))
        #expect(answer.status == .ok)
    }

    @Test(
        "fails alike for whatever is wrong",
        arguments: [
            ("alice", "wrong"), ("alice", ""), ("nobody", "correct horse"), ("", ""), ("disabled", "correct horse"),
        ])
    func failures(name: String, password: String) async throws {
        let service = try await TestService()
        try await service.addUser()
        let disabled = try await service.addUser("disabled")
        try await service.accounts.setDisabled(disabled, true)
        let answer = try await service.post(
            "/auth/log-in", ["username": .string(name), "password": .string(password)])
        #expect(answer.status == .unauthorized)
        #expect(
            try answer.json == ["error": "invalid_grant", "error_description": "the name or the password is wrong"])
    }

    @Test("takes other spellings of the same name and password", arguments: ["ALICE", "ａｌｉｃｅ"])
    func spellings(name: String) async throws {
        let service = try await TestService()
        try await service.addUser("alice", password: "caf\u{E9} 1")
        let answer = try await service.post(
            "/auth/log-in", ["username": .string(name), "password": "cafe\u{301}\u{3000}1"])
        #expect(answer.status == .ok)
    }

    @Test("grants the scopes that were asked for")
    func scope() async throws {
        let service = try await TestService()
        try await service.addUser()
        let answer = try await service.post(
            "/auth/log-in", ["username": "alice", "password": "correct horse", "scope": "write"])
        #expect(try answer.json["scope"] == "write")
    }

    @Test("refuses a scope that the user doesn't have")
    func unknownScope() async throws {
        let service = try await TestService()
        try await service.addUser()
        let answer = try await service.post(
            "/auth/log-in", ["username": "alice", "password": "correct horse", "scope": "write admin"])
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_scope")
    }

    @Test("makes a hash of another cost anew with today's", arguments: [1, 3])
    func rehash(iterations: Int) async throws {
        let service = try await TestService(["password-iterations": "2"])
        let old = try PasswordHash.make("correct horse", cost: PasswordCost(memory: 1024, iterations: iterations))
        _ = try await service.accounts.add(name: "alice", credential: .hash(old.text), claims: [:], scopes: [])
        _ = try await service.logIn()
        let stored = try #require(try await service.accounts.users.user(named: "alice")).passwordHash
        #expect(try PasswordHash(stored).isMade(at: service.settings.passwordCost))
        #expect(
            try await service.post("/auth/log-in", ["username": "alice", "password": "correct horse"]).status == .ok)
    }

    @Test("begins no session for a user who was disabled while the password was checked")
    func disabledMeanwhile() async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        try await service.accounts.setDisabled(user, true)
        let store = SessionStore(database: service.database, settings: service.settings)
        let token = RefreshToken(sessionID: try randomBytes(16), generation: 1, seed: try randomBytes(16))
        let now = service.clock.now
        let grant = store.grant(
            token, to: user, scopes: [], status: StatusReference(list: "AAAAAAAAAAAAAAAAAAAAAA", index: 0), at: now)
        let isStored = try await store.insert(
            token, grant, of: user, from: SessionOrigin(address: nil, userAgent: nil),
            audit: AuditRecord(.logIn, by: .service, at: now), at: now)
        #expect(!isStored)
        #expect(try await service.audit().allSatisfy { $0["event"] != "log_in" })
    }

    @Test("doesn't make what DES crypt overlooks part of the password")
    func truncatedHash() async throws {
        let service = try await TestService()
        // crypt("password", "ab") of libxcrypt.
        _ = try await service.accounts.add(
            name: "alice", credential: .hash("abJnggxhB/yWI"), claims: [:], scopes: [])
        func logIn(_ password: String) async throws -> HTTPResponse.Status {
            try await service.post("/auth/log-in", ["username": "alice", "password": .string(password)]).status
        }
        #expect(try await logIn("passwordTYPO") == .ok)
        #expect(try await logIn("passwordTRUE") == .ok)
        #expect(try await logIn("password") == .ok)
        // Now it is Argon2id's.
        #expect(try await logIn("passwordTRUE") == .unauthorized)
    }
}
