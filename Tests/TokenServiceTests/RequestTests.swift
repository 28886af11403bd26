import HTTPTypes
import Hummingbird
import JOSE
import NIOCore
import Testing

@testable import TokenService

@Suite("Requests that are wrong in form")
struct RequestTests {
    @Test(
        "another method at a known path is 405 with Allow", arguments: [HTTPRequest.Method.get, .put, .delete, .patch])
    func method(method: HTTPRequest.Method) async throws {
        let answer = try await TestService().send(method, "/auth/log-in")
        #expect(answer.status == .methodNotAllowed)
        #expect(answer.headers[.allow] == "POST")
    }

    @Test("HEAD is answered where GET is")
    func head() async throws {
        let answer = try await TestService().send(.head, "/.well-known/jwks.json")
        #expect(answer.status == .ok)
        #expect(answer.body.isEmpty)
    }

    @Test("HEAD gets no body with an error either", arguments: ["/auth/log-in", "/auth/me", "/nothing"])
    func headOfError(path: String) async throws {
        let answer = try await TestService().send(.head, path)
        #expect(answer.status.code >= 400)
        #expect(answer.body.isEmpty)
    }

    @Test("a form of thousands of parameters is 400 at once")
    func manyParameters() async throws {
        let form = (0..<10_000).map { String($0, radix: 36) }.joined(separator: "&")
        let answer = try await TestService().send(
            .post, "/auth/refresh", headers: [.contentType: "application/x-www-form-urlencoded"], body: Array(form.utf8)
        )
        #expect(answer.status == .badRequest)
    }

    @Test(
        "an unknown path is 404, also one that only looks like a known one",
        arguments: ["/auth/nothing", "//auth/me", "/auth/me/"])
    func notFound(path: String) async throws {
        let answer = try await TestService().get(path)
        #expect(answer.status == .notFound)
        #expect(answer.error == "not_found")
    }

    @Test("a body over 64 KiB is 413, whether its length is told or not", arguments: [true, false])
    func tooLarge(isTold: Bool) async throws {
        let body = [UInt8](repeating: UInt8(ascii: " "), count: 64 * 1024 + 1)
        var headers: HTTPFields = [.contentType: "application/json"]
        if isTold { headers[.contentLength] = String(body.count) } else { headers[.transferEncoding] = "chunked" }
        let answer = try await TestService().send(.post, "/auth/log-in", headers: headers, body: body)
        #expect(answer.status == .contentTooLarge)
    }

    @Test(
        "the type of a body is told by its letters, whatever their case and what follows",
        arguments: [
            ("application/json", "application/json"), (" Application/JSON\t; charset=utf-8", "application/json"),
            ("application/json\u{301}", ""), ("é", ""), (";", ""), ("", ""),
        ])
    func mediaType(_ field: String, _ expected: String) {
        let head = HTTPRequest(
            method: .post, scheme: nil, authority: nil, path: "/", headerFields: [.contentType: field])
        #expect(TokenService.RequestBody.mediaType(Request(head: head, body: .init(buffer: ByteBuffer()))) == expected)
    }

    @Test("another type of body is 415", arguments: ["text/plain", "application/xml", nil])
    func type(type: String?) async throws {
        var headers: HTTPFields = [:]
        headers[.contentType] = type
        let answer = try await TestService().send(.post, "/auth/refresh", headers: headers, body: Array("{}".utf8))
        #expect(answer.status == .unsupportedMediaType)
    }

    @Test(
        "a body that can't be read is 400",
        arguments: [
            "{", "[]", #"{"username":"a","username":"b","password":"c"}"#, #"{"username":1,"password":"c"}"#, "{}",
            #"{"username":"a"}"#, #"{"username":"a","password":"\ud800"}"#,
        ])
    func unreadable(body: String) async throws {
        let answer = try await TestService().send(
            .post, "/auth/log-in", headers: [.contentType: "application/json"], body: Array(body.utf8))
        #expect(answer.status == .badRequest)
        #expect(answer.error == "invalid_request")
    }

    @Test(
        "a form with a repeated parameter or broken encoding is 400",
        arguments: ["username=a&username=b&password=c", "username=%zz"])
    func form(body: String) async throws {
        let answer = try await TestService().send(
            .post, "/auth/log-in", headers: [.contentType: "application/x-www-form-urlencoded"], body: Array(body.utf8))
        #expect(answer.status == .badRequest)
    }
}
