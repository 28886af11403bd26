internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// `/openapi.json` and `/docs`: what the service says of itself.
struct Documentation: Sendable {
    /// The OpenAPI document of an issuer.
    let json: [UInt8]
    private let document: Published
    /// Made when somebody asks for it: that takes as long as all else of a start.
    private let page = Locked<Published?>(nil)
    private let maxAge: Duration

    private struct Published: Sendable {
        let body: ByteBuffer
        let type: String
        let entityTag: String
        var more: HTTPFields = [:]

        init(_ bytes: [UInt8], type: String) throws {
            body = ByteBuffer(bytes: bytes)
            self.type = type
            entityTag = try Response.entityTag(of: bytes)
        }
    }

    static let pagePath = "/docs"

    /// - Parameter maxAge: how long both may be kept.
    init(issuer: String, maxAge: Duration) throws {
        let servers: JSONValue = [["url": .string(TokenIssuer.url("", issuer: issuer))]]
        // The document is an object, of which this becomes the first member.
        json = Array("{\"servers\":\(servers.jsonText),".utf8) + PackageResources.openapi_json.dropFirst()
        document = try Published(json, type: "application/json")
        self.maxAge = maxAge
    }

    var routes: [Route] {
        [
            Route(.get, "/openapi.json") { request, _ in response(document, request) },
            Route(.get, Self.pagePath) { request, _ in response(try madePage(), request) },
        ]
    }

    private func madePage() throws -> Published {
        try page.withLock { made in
            if let made { return made }
            let html = DocumentationPage(try JSONObject(json: json)).html
            var page = try Published(Array(html.utf8), type: "text/html; charset=utf-8")
            page.more = [
                .contentSecurityPolicy: "default-src 'none'; style-src 'sha256-\(try DocumentationPage.styleHash)'; "
                    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                .xContentTypeOptions: "nosniff",
            ]
            made = page
            return page
        }
    }

    private func response(_ published: Published, _ request: Request) -> Response {
        var response = Response.published(
            published.body, type: published.type, entityTag: published.entityTag, maxAge: maxAge.components.seconds,
            for: request)
        for field in published.more { response.headers[field.name] = field.value }
        return response
    }
}
