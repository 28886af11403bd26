import Foundation
import HTTPTypes
import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("A client's secret")
struct ClientSecretTests {
    private func status(_ service: TestService, _ id: String, _ secret: String) async throws -> HTTPResponse.Status {
        try await service.form(
            "/oauth2/token", ["grant_type": "client_credentials", "client_id": id, "client_secret": secret]
        ).status
    }

    @Test("is taken from the header and from the body")
    func places() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        #expect(try await service.form("/oauth2/token", ["grant_type": "client_credentials"], as: job).status == .ok)
        #expect(try await status(service, job.id, job.secret) == .ok)
    }

    @Test("is taken percent-encoded from the header (RFC 6749 section 2.3.1)")
    func encoded() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let encoded = job.secret.utf8.map { "%" + String($0, radix: 16) }.joined()
        let field = "Basic " + Data("\(job.id):\(encoded)".utf8).base64EncodedString()
        let answer = try await service.send(
            .post, "/oauth2/token",
            headers: [.authorization: field, .contentType: "application/x-www-form-urlencoded"],
            body: Array("grant_type=client_credentials".utf8))
        #expect(answer.status == .ok)
    }

    @Test("isn't taken from the query")
    func query() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let answer = try await service.form(
            "/oauth2/token?client_id=\(job.id)&client_secret=\(job.secret)", ["grant_type": "client_credentials"])
        #expect(answer.status == .unauthorized)
    }

    @Test("that is another one, none, or another client's is refused")
    func wrong() async throws {
        let service = try await TestService()
        let (job, other) = (try await service.addClient(), try await service.addClient("other"))
        for secret in ["wrong", "", other.secret, job.secret + "x", String(job.secret.dropLast())] {
            #expect(try await status(service, job.id, secret) == .unauthorized)
        }
        #expect(try await status(service, String(repeating: "A", count: 22), job.secret) == .unauthorized)
        #expect(try await status(service, job.client.name, job.secret) == .unauthorized)
    }

    @Test(
        "in a header that isn't Basic's form is refused with a challenge",
        arguments: [
            "Basic", "Basic !!!", "Basic YWJj", "Basic YWJj YWJj", "Bearer abc", "Digest username=\"a\"", "basic /w==",
        ])
    func malformed(field: String) async throws {
        let service = try await TestService()
        let answer = try await service.send(
            .post, "/oauth2/token",
            headers: [.authorization: field, .contentType: "application/x-www-form-urlencoded"],
            body: Array("grant_type=client_credentials".utf8))
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_client")
        #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Basic ") == true)
    }

    @Test("given in two ways at once is an invalid request, though it is the right one")
    func twice() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let answer = try await service.form(
            "/oauth2/token",
            ["grant_type": "client_credentials", "client_id": job.id, "client_secret": job.secret], as: job)
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_request")
    }

    @Test("in the header goes with the same client_id in the body, and with no other")
    func bodyID() async throws {
        let service = try await TestService()
        let (job, other) = (try await service.addClient(), try await service.addClient("other"))
        let grant: Parameters = ["grant_type": "client_credentials"]
        #expect(try await service.form("/oauth2/token", grant + ["client_id": job.id], as: job).status == .ok)
        #expect(try await service.form("/oauth2/token", grant + ["client_id": other.id], as: job).status == .badRequest)
    }

    @Test("is kept as its hash only")
    func stored() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let rows = try await service.database.read {
            try $0.query("SELECT credential FROM clients").map { try $0.bytes("credential") }
        }
        #expect(rows == [try SHA256.hash(Array(job.secret.utf8))])
    }

    @Test("stays good beside the next one, and ends with the third")
    func rotation() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let second = try #require(
            try await service.clients.rotate(job.client, publicKey: nil, immediately: false).secret)
        service.clock.advance(.seconds(2))
        #expect(try await status(service, job.id, job.secret) == .ok)
        #expect(try await status(service, job.id, second) == .ok)
        let third = try #require(
            try await service.clients.rotate(job.client, publicKey: nil, immediately: false).secret)
        service.clock.advance(.seconds(2))
        #expect(try await status(service, job.id, job.secret) == .unauthorized)
        #expect(try await status(service, job.id, second) == .ok)
        #expect(try await status(service, job.id, third) == .ok)
    }

    @Test("ends where the rotation is finished, which can be done once")
    func finish() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        await #expect(throws: ServiceError.self) { try await service.clients.finishRotation(job.client) }
        let second = try #require(
            try await service.clients.rotate(job.client, publicKey: nil, immediately: false).secret)
        _ = try await service.clients.finishRotation(job.client)
        await #expect(throws: ServiceError.self) { try await service.clients.finishRotation(job.client) }
        service.clock.advance(.seconds(2))
        #expect(try await status(service, job.id, job.secret) == .unauthorized)
        #expect(try await status(service, job.id, second) == .ok)
    }

    @Test("that leaked gets no token under a bit that came after it, from a node that hasn't heard of its end")
    func late() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        // The node knows the client, which has no bit yet.
        _ = try await service.form("/oauth2/introspect", ["token": "x"], as: job)
        _ = try await service.clients.rotate(job.client, publicKey: nil, immediately: true)
        #expect(try await status(service, job.id, job.secret) == .unauthorized)
    }

    @Test("that is new counts at once, though the node knew the client from before")
    func fresh() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        #expect(try await status(service, job.id, job.secret) == .ok)
        let second = try #require(
            try await service.clients.rotate(job.client, publicKey: nil, immediately: false).secret)
        #expect(try await status(service, job.id, second) == .ok)
        #expect(try await status(service, job.id, job.secret) == .ok)
    }

    @Test("gets its first token a moment after it was rotated, too")
    func early() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        _ = try await service.form("/oauth2/introspect", ["token": "x"], as: job)
        _ = try await service.clients.rotate(job.client, publicKey: nil, immediately: false)
        #expect(try await status(service, job.id, job.secret) == .ok)
    }

    @Test("that leaked ends at once with --immediately, and the tokens with it")
    func immediately() async throws {
        let service = try await TestService()
        let job = try await service.addClient()
        let token = try await service.token(of: job)
        let second = try #require(
            try await service.clients.rotate(job.client, publicKey: nil, immediately: true).secret)
        service.clock.advance(.seconds(2))
        #expect(try await status(service, job.id, job.secret) == .unauthorized)
        #expect(try await status(service, job.id, second) == .ok)
        #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
        #expect(try await service.isEnded(token))
    }
}
