internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import KeyService
internal import Storage

/// What anybody may read: the JWKS, the metadata, and whether the service is well.
struct PublishedRoutes: Sendable {
    let issuer: String
    let jwksMaxAge: Duration
    let keys: KeyService
    let database: any Database

    var routes: [Route] {
        [
            Route(.get, "/.well-known/jwks.json", jwks),
            Route(.get, "/.well-known/oauth-authorization-server", metadata),
            Route(.get, "/.well-known/openid-configuration", metadata),
            Route(.get, "/health/live") { _, _ in .json(["status": "live"]) },
            Route(.get, "/health/ready", ready),
        ]
    }

    @Sendable private func jwks(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let view = try keys.current()
        return published(view.jwks, entityTag: view.entityTag, for: request)
    }

    /// RFC 8414, true of what is served.
    @Sendable private func metadata(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let document: JSONObject = [
            "issuer": .string(issuer), "jwks_uri": .string(base + "/.well-known/jwks.json"),
            // There is no authorization endpoint, and users log in at /auth/log-in, which is none of OAuth's grants.
            "response_types_supported": [], "grant_types_supported": [],
        ]
        let body = document.json
        return published(body, entityTag: "\"\(Base64URL.encode(try SHA256.hash(body).prefix(16)))\"", for: request)
    }

    private func published(_ body: [UInt8], entityTag: String, for request: Request) -> Response {
        var headers: HTTPFields = [
            .eTag: entityTag, .cacheControl: "public, max-age=\(jwksMaxAge.components.seconds)",
            .accessControlAllowOrigin: "*",
        ]
        if Self.matches(request.headers[values: .ifNoneMatch], entityTag) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = "application/json"
        return Response(
            status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// If-None-Match (RFC 9110 section 13.1.2) compares weakly.
    private static func matches(_ fields: [String], _ entityTag: String) -> Bool {
        fields.flatMap { $0.split(separator: ",") }.contains { field in
            let tag = field.drop { $0 == " " || $0 == "\t" }
            return tag == "*" || (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag).hasPrefix(entityTag)
        }
    }

    @Sendable private func ready(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        guard try keys.current().signingKey != nil else { throw APIError.unavailable("no key can sign") }
        _ = try await database.read { try $0.query("SELECT 1 AS one") }
        return .json(["status": "ready"])
    }
}
