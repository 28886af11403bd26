import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("The OpenAPI document and its page")
struct DocumentationTests {
    @Test("has every route that is served, and no other")
    func routes() async throws {
        let service = try await TestService()
        let routes = try await service.server.routes(issuer: TestService.url).routes
        #expect(Set(routes.map { "\($0.method) \($0.path)" }) == OpenAPIDocument.shared.operations)
    }

    @Test("names the issuer's URL as its server, and is served as it is")
    func served() async throws {
        let service = try await TestService(["issuer": "https://id.example/tenant/"])
        let answer = try await service.get("/openapi.json")
        #expect(answer.headers[.contentType] == "application/json")
        #expect(try answer.json["openapi"] == "3.1.0")
        #expect(try answer.json["servers"] == [["url": "https://id.example/tenant"]])
    }

    @Test("resolves every reference within itself")
    func references() {
        let document = OpenAPIDocument.shared
        func check(_ value: JSONValue) {
            if let reference = value.object?["$ref"] {
                #expect(document.resolved(value) != nil, "\(reference)")
            }
            for element in value.array ?? [] { check(element) }
            for member in value.object?.members ?? [] { check(member.value) }
        }
        check(.object(document.members))
    }

    @Test("is kept for a while, and asked for anew with its tag", arguments: ["/openapi.json", "/docs"])
    func caching(path: String) async throws {
        let service = try await TestService()
        let answer = try await service.get(path)
        #expect(answer.headers[.cacheControl] == "public, max-age=300")
        let tag = try #require(answer.headers[.eTag])
        #expect(try await service.get(path, headers: [.ifNoneMatch: tag]).status == .notModified)
    }

    @Test("is shown by a page that tells every operation and loads nothing")
    func page() async throws {
        let answer = try await TestService().get("/docs")
        #expect(answer.headers[.contentType] == "text/html; charset=utf-8")
        #expect(answer.headers[HTTPField.Name("Content-Security-Policy")!]?.hasPrefix("default-src 'none'") == true)
        let html = String(decoding: answer.body, as: UTF8.self)
        for operation in OpenAPIDocument.shared.operations { #expect(html.contains("<code>\(operation)</code>")) }
        for name in ["<script", "src=", "<link", "@import", "url("] { #expect(!html.contains(name)) }
    }

    @Test("escapes what it shows")
    func escaping() {
        let html = DocumentationPage(["info": ["title": "<b>&\"", "description": "`a<b`"]]).html
        #expect(html.contains("<title>&lt;b&gt;&amp;&quot;</title>"))
        #expect(html.contains("<code>a&lt;b</code>"))
    }

    @Test("the metadata tell the endpoints, and each URL in them is served")
    func metadata() async throws {
        let service = try await TestService()
        let document = try await service.get("/.well-known/oauth-authorization-server").json
        for name in [
            "jwks_uri", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "service_documentation",
        ] {
            let url = try #require(document[name]?.string)
            let method: HTTPRequest.Method = name.hasSuffix("endpoint") ? .post : .get
            let answer = try await service.send(method, String(url.dropFirst(TestService.url.count)))
            #expect(answer.status != .notFound && answer.status != .methodNotAllowed, "\(name)")
        }
        #expect(
            document["grant_types_supported"] == [
                "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange",
            ])
    }
}
