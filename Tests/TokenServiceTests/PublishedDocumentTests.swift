import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("The published documents")
struct PublishedDocumentTests {
    @Test("the JWKS has every key's public members, and no others")
    func members() async throws {
        let service = try await TestService(["algorithms": "ES256,RS256"])
        let answer = try await service.get("/.well-known/jwks.json")
        #expect(answer.headers[.contentType] == "application/json")
        #expect(answer.headers[.cacheControl] == "public, max-age=300")
        let keys = try #require(try answer.json["keys"]?.array)
        let names = keys.compactMap { $0.object.map { Set($0.members.map(\.name)) } }
        #expect(
            Set(names) == [["kty", "kid", "alg", "use", "crv", "x", "y"], ["kty", "kid", "alg", "use", "n", "e"]])
    }

    @Test("the JWKS verifies an access token")
    func verifies() async throws {
        let service = try await TestService()
        try await service.addUser()
        let token = try await service.logIn().access
        let set = try JWKSet(json: try await service.get("/.well-known/jwks.json").body)
        try JWS(compact: token).verify(with: set)
    }

    @Test(
        "are not sent again to who has them",
        arguments: ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"])
    func notModified(path: String) async throws {
        let service = try await TestService()
        let tag = try #require(try await service.get(path).headers[.eTag])
        #expect(tag.hasPrefix("\"") && tag.hasSuffix("\""))
        for field in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
            let answer = try await service.get(path, headers: [.ifNoneMatch: field])
            #expect(answer.status == .notModified)
            #expect(answer.body.isEmpty)
            #expect(answer.headers[.eTag] == tag)
        }
        #expect(try await service.get(path, headers: [.ifNoneMatch: "\"other\""]).status == .ok)
    }

    @Test("the two metadata documents are one, and name the JWKS under the issuer")
    func metadata() async throws {
        let service = try await TestService(["issuer": "https://id.example/"])
        let documents = try await [
            service.get("/.well-known/oauth-authorization-server").json,
            service.get("/.well-known/openid-configuration").json,
        ]
        #expect(documents[0] == documents[1])
        #expect(documents[0]["issuer"] == "https://id.example/")
        #expect(documents[0]["jwks_uri"] == "https://id.example/.well-known/jwks.json")
    }

    @Test("health says ready while the database answers", arguments: [false, true])
    func ready(isClosed: Bool) async throws {
        let service = try await TestService()
        if isClosed { try service.database.close() }
        #expect(try await service.get("/health/live").status == .ok)
        #expect(try await service.get("/health/ready").status == (isClosed ? .serviceUnavailable : .ok))
    }
}
