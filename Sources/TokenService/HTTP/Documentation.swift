internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// `/openapi.json` and `/docs`: what the service says of itself, made once.
struct Documentation: Sendable {
    /// The OpenAPI document of an issuer.
    let document: JSONObject
    private let json: Published
    private let page: Published
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
        var document = try JSONObject(json: PackageResources.openapi_json)
        document["servers"] = [["url": .string(TokenIssuer.url("", issuer: issuer))]]
        self.document = document
        self.maxAge = maxAge
        json = try Published(document.json, type: "application/json")
        var page = try Published(
            Array(DocumentationPage(document).html.utf8), type: "text/html; charset=utf-8")
        page.more = [
            .contentSecurityPolicy: "default-src 'none'; style-src 'sha256-\(try DocumentationPage.styleHash)'; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            .xContentTypeOptions: "nosniff",
        ]
        self.page = page
    }

    var routes: [Route] {
        [
            Route(.get, "/openapi.json") { request, _ in response(json, request) },
            Route(.get, Self.pagePath) { request, _ in response(page, request) },
        ]
    }

    private func response(_ published: Published, _ request: Request) -> Response {
        var response = Response.published(
            published.body, type: published.type, entityTag: published.entityTag, maxAge: maxAge.components.seconds,
            for: request)
        for field in published.more { response.headers[field.name] = field.value }
        return response
    }
}
