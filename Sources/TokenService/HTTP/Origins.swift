internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import TokenVerifier

/// The web origins whose pages may use the service (RFC 6454; the Fetch standard's CORS protocol).
struct Origins: Sendable {
    private let own: String?
    private let allowed: [String]

    /// - Parameters:
    ///   - issuer: its origin is allowed to send cookies, too.
    ///   - allowed: origins as browsers spell them.
    init(issuer: String, allowed: [String]) {
        own = WebOrigin.of(issuer)
        self.allowed = allowed
    }

    /// Refuses a request that another site's page makes in the user's name.
    ///
    /// - Throws: ``APIError`` with status 403.
    func check(_ request: Request) throws {
        let origins = request.headers[values: .origin]
        guard origins.allSatisfy({ own?.isSpelt($0) == true || isAllowed($0) }) else { throw APIError.foreignOrigin }
    }

    private func isAllowed(_ origin: String) -> Bool { allowed.contains { $0.isSpelt(origin) } }

    /// The allowed origin that a request names.
    private func allowedOrigin(_ request: Request) -> String? {
        request.headers[.origin].flatMap { isAllowed($0) ? $0 : nil }
    }

    /// Answers the browser's question whether a page may make a request; `nil` for anything else.
    func preflight(_ request: Request, methods: [HTTPRequest.Method]) -> Response? {
        guard request.method == .options, request.headers[.origin] != nil,
            request.headers[.accessControlRequestMethod] != nil
        else { return nil }
        var response = Response(status: .noContent)
        guard Self.areGuarded(request) else {
            if Self.arePublished(request) { response.headers[.accessControlAllowHeaders] = "If-None-Match" }
            return response
        }
        if allowedOrigin(request) != nil {
            response.headers[.accessControlAllowMethods] = methods.map(\.rawValue).joined(separator: ", ")
            response.headers[.accessControlAllowHeaders] = "Authorization, Content-Type"
            response.headers[.accessControlMaxAge] = "600"
        }
        return response
    }

    /// Whether only pages of some origins may read the answers; what is published anybody may.
    private static func areGuarded(_ request: Request) -> Bool {
        request.uri.path.hasPrefix("/auth/") || request.uri.path.hasPrefix("/oauth2/")
    }

    private static func arePublished(_ request: Request) -> Bool {
        request.uri.path.hasPrefix("/.well-known/") || request.uri.path.hasPrefix("/status-lists/")
    }

    /// Lets the page of an allowed origin read an answer.
    func share(_ response: inout Response, with request: Request) {
        guard Self.areGuarded(request) else {
            // Documents say so themselves; that there is none now anybody may read, too.
            if Self.arePublished(request) { response.headers[.accessControlAllowOrigin] = "*" }
            return
        }
        response.headers[.vary] = "Origin"
        guard let origin = allowedOrigin(request) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlAllowCredentials] = "true"
        response.headers[.accessControlExposeHeaders] = "Retry-After, WWW-Authenticate"
    }
}
