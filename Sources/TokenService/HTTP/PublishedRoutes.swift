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
    let statusLists: StatusLists
    let now: @Sendable () -> Instant

    var routes: [Route] {
        [
            Route(.get, "/.well-known/jwks.json", jwks),
            Route(.get, "/.well-known/oauth-authorization-server", metadata),
            Route(.get, "/.well-known/openid-configuration", metadata),
            Route(.get, "/status-lists/{id}", statusList),
            Route(.get, "/health/live") { _, _ in .json(["status": "live"]) },
            Route(.get, "/health/ready", ready),
        ]
    }

    @Sendable private func jwks(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let view = try keys.current()
        return .published(
            ByteBuffer(bytes: view.jwks), type: "application/json", entityTag: view.entityTag,
            maxAge: jwksMaxAge.components.seconds, for: request)
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
        return .published(
            ByteBuffer(bytes: body), type: "application/json", entityTag: try Response.entityTag(of: body),
            maxAge: jwksMaxAge.components.seconds, for: request)
    }

    /// The Token Status List draft, section 8.1.
    @Sendable private func statusList(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let document = try await statusLists.document(context.parameters.require("id"))
        guard let document else { throw APIError.notFound }
        let fresh = (document.freshUntil - now()).components.seconds
        return .published(
            document.body, type: "application/statuslist+jwt", entityTag: document.entityTag,
            maxAge: max(0, fresh), for: request)
    }

    @Sendable private func ready(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        guard let key = try keys.current().signingKey, key.longestTokenLifetime(at: now()) > .seconds(1) else {
            throw APIError.unavailable("no key can sign")
        }
        _ = try await database.read { try $0.query("SELECT 1 AS one") }
        return .json(["status": "ready"])
    }
}
