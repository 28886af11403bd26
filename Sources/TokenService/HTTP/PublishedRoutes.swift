internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import KeyService
internal import NIOCore
internal import Storage

/// What anybody may read: the JWKS, the metadata, and whether the service is well.
struct PublishedRoutes: Sendable {
    private let maxAge: Duration
    private let keys: KeyService
    private let database: any Database
    private let statusLists: StatusLists
    private let now: @Sendable () -> Instant
    private let metadataDocument: (body: ByteBuffer, entityTag: String)

    init(
        issuer: String, maxAge: Duration, keys: KeyService, database: any Database, statusLists: StatusLists,
        now: @escaping @Sendable () -> Instant
    ) throws {
        self.maxAge = maxAge
        self.keys = keys
        self.database = database
        self.statusLists = statusLists
        self.now = now
        metadataDocument = try Self.metadata(of: issuer)
    }

    static let livePath = "/health/live"
    static let readyPath = "/health/ready"

    var routes: [Route] {
        [
            Route(.get, "/.well-known/jwks.json", jwks),
            Route(.get, "/.well-known/oauth-authorization-server", metadata),
            Route(.get, "/.well-known/openid-configuration", metadata),
            Route(.get, "/status-lists/{id}", statusList),
            Route(.get, Self.livePath) { _, _ in .json(["status": "live"]) },
            Route(.get, Self.readyPath, ready),
        ]
    }

    @Sendable private func jwks(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let view = try keys.current()
        return .published(
            ByteBuffer(bytes: view.jwks), type: "application/json", entityTag: view.entityTag,
            maxAge: maxAge.components.seconds, for: request)
    }

    @Sendable private func metadata(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        .published(
            metadataDocument.body, type: "application/json", entityTag: metadataDocument.entityTag,
            maxAge: maxAge.components.seconds, for: request)
    }

    /// RFC 8414, true of what is served.
    private static func metadata(of issuer: String) throws -> (body: ByteBuffer, entityTag: String) {
        func url(_ path: String) -> JSONValue { .string(TokenIssuer.url(path, issuer: issuer)) }
        func names(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
        let (methods, algorithms) = (ClientAuthenticator.methods, names(Algorithm.table.map(\.name)))
        let document: JSONObject = [
            "issuer": .string(issuer), "jwks_uri": url("/.well-known/jwks.json"),
            "token_endpoint": url(TokenEndpoint.path),
            // The public client of log-ins refreshes without authentication.
            "token_endpoint_auth_methods_supported": names(methods + ["none"]),
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint": url(TokenStatusEndpoints.revocationPath),
            "revocation_endpoint_auth_methods_supported": names(methods),
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
            "introspection_endpoint": url(TokenStatusEndpoints.introspectionPath),
            "introspection_endpoint_auth_methods_supported": names(methods),
            "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
            "grant_types_supported": names(TokenEndpoint.Grant.allCases.map(\.rawValue)),
            // There is no authorization endpoint: users log in at /auth/log-in, which is none of OAuth's grants.
            "response_types_supported": [], "service_documentation": url(Documentation.pagePath),
        ]
        let body = document.json
        return (ByteBuffer(bytes: body), try Response.entityTag(of: body))
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
