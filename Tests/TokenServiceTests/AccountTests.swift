import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("Names, passwords and claims")
struct AccountTests {
    @Test(
        "names are prepared as RFC 8265 has it",
        arguments: [("Alice", "alice"), ("Ａ１", "a1"), ("e\u{301}", "\u{E9}"), ("a@b.c", "a@b.c")])
    func names(text: String, expected: String) {
        #expect(Precis.userName(text) == expected)
    }

    @Test(
        "what can't be a name is refused",
        arguments: ["", "a b", "a\u{0}", "a\u{200B}", "\u{2665}", "\u{FB01}", String(repeating: "a", count: 1025)])
    func badNames(text: String) {
        #expect(Precis.userName(text) == nil)
    }

    @Test(
        "passwords keep their case and get ordinary spaces",
        arguments: [("A b", "A b"), ("a\u{A0}b", "a b"), ("e\u{301}", "\u{E9}")])
    func passwords(text: String, expected: String) {
        #expect(Precis.password(text) == expected)
    }

    @Test("what can't be a password is refused", arguments: ["", "a\n", "a\u{0}", String(repeating: "a", count: 1025)])
    func badPasswords(text: String) {
        #expect(Precis.password(text) == nil)
    }

    @Test("an Argon2id hash knows its password")
    func hash() throws {
        let hash = try PasswordHash.make("secret", cost: PasswordCost(memory: 64, iterations: 1))
        #expect(try hash.matches("secret"))
        #expect(try !hash.matches("Secret"))
    }

    @Test(
        "a hash that isn't taken, or would cost too much, is refused",
        arguments: [
            "", "secret", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=19$m=1048576,t=5,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=19$m=64,t=99999999,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$aaaa", "$2b$12$abcdefghijklmnopqrstuv",
        ])
    func badHashes(text: String) {
        #expect(throws: PasswordHash.Refusal.self) { try PasswordHash(text) }
    }

    @Test("a full password queue says so at once")
    func queue() async throws {
        let hasher = PasswordHasher(cost: PasswordCost(memory: 8192, iterations: 2), concurrency: 1)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<60 {
                group.addTask {
                    do {
                        return try await hasher.verify("x", hash: nil)
                    } catch {
                        return error is PasswordHasher.Overloaded
                    }
                }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0 } > 0)
        #expect(try await hasher.verify("x", hash: nil) == false)
    }

    @Test("registered claim names are refused", arguments: ClaimRules.registeredNames.sorted() + ["Aud", "EXP"])
    func registered(name: String) throws {
        let error = #expect(throws: ServiceError.self) { try ClaimRules.claims(["\(name)=1"]) }
        #expect(error?.status == .usage)
    }

    @Test(
        "claims that aren't KEY=JSON, each once, are refused",
        arguments: [["plan"], ["=1"], ["plan=gold"], ["a=1", "a=2"]])
    func badClaims(texts: [String]) {
        #expect(throws: ServiceError.self) { try ClaimRules.claims(texts) }
    }

    @Test("scopes are RFC 6749's tokens", arguments: ["", "a b", "a\"", "a\\", "é"])
    func badScopes(text: String) {
        #expect(throws: ServiceError.self) { try ClaimRules.scopes([text]) }
    }

    @Test("claims that were stored in another spelling can be set")
    func otherSpelling() async throws {
        let service = try await TestService()
        let user = try await service.addUser()
        _ = try await service.database.write { connection in
            try connection.execute(#"UPDATE users SET claims = '{ "plan": "gold", "sub": 1 }'"#)
        }
        let read = try await service.accounts.users.find("alice")
        let changed = try await service.accounts.setClaims(of: read, ["a": 1], removing: [])
        #expect(changed.id == user.id)
        #expect(changed.claims == ["plan": "gold", "a": 1])
    }

    @Test("no password has the decoy's hash, which costs as much as others")
    func decoy() throws {
        let cost = PasswordCost(memory: 64, iterations: 1)
        #expect(PasswordHash.decoy(cost: cost).isMade(at: cost))
        #expect(try !PasswordHash.decoy(cost: cost).matches(""))
    }

    @Test("a registered claim that got into the database doesn't get into a token")
    func tampered() async throws {
        let service = try await TestService()
        let user = try await service.addUser(claims: ["sub": "root", "plan": "gold"])
        let token = try JWTClaims(json: JWS(compact: try await service.logIn().access).payload)
        #expect(token.subject == user.id)
        #expect(token.members["plan"] == "gold")
    }
}
