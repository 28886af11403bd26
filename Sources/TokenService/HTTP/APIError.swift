internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// An error as clients see it: OAuth's codes (RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8707 section 2), one row of the table each.
struct APIError: Error {
    let status: HTTPResponse.Status
    let code: String
    let description: String
    var headers: HTTPFields = [:]

    static func invalidRequest(_ description: String) -> APIError {
        APIError(status: .badRequest, code: "invalid_request", description: description)
    }

    static func invalidScope(_ description: String) -> APIError {
        APIError(status: .badRequest, code: "invalid_scope", description: description)
    }

    /// A failed log-in or refresh, which under /auth/ is 401, and 400 under /oauth2/.
    static func invalidGrant(_ description: String, status: HTTPResponse.Status = .unauthorized) -> APIError {
        APIError(status: status, code: "invalid_grant", description: description)
    }

    /// The client isn't known, or didn't show that it is who it says. A 401 needs a challenge (RFC 9110 section 15.5.2),
    /// whichever way it tried.
    static func invalidClient(_ description: String) -> APIError {
        APIError(
            status: .unauthorized, code: "invalid_client", description: description,
            headers: [.wwwAuthenticate: "Basic realm=\"oauth2\""])
    }

    static func unauthorizedClient(_ description: String) -> APIError {
        APIError(status: .badRequest, code: "unauthorized_client", description: description)
    }

    static let unsupportedGrantType = APIError(
        status: .badRequest, code: "unsupported_grant_type", description: "the metadata list the grant types there are")

    /// RFC 8707 section 2.
    static func invalidTarget(_ description: String) -> APIError {
        APIError(status: .badRequest, code: "invalid_target", description: description)
    }

    static let foreignOrigin = APIError(
        status: .forbidden, code: "invalid_request",
        description: "cookies are taken from pages of the issuer's origin and of those in cors-origins only")

    static func tooManyAttempts(retryAfter seconds: Int) -> APIError {
        APIError(
            status: .tooManyRequests, code: "temporarily_unavailable",
            description: "too many failed log-ins; try again later", headers: [.retryAfter: String(seconds)])
    }

    static let notFound = APIError(status: .notFound, code: "not_found", description: "there is nothing here")

    static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> APIError {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        return APIError(
            status: .methodNotAllowed, code: "invalid_request", description: "use \(names)", headers: [.allow: names])
    }

    static let contentTooLarge = APIError(
        status: .contentTooLarge, code: "invalid_request", description: "the body is over 64 KiB")

    static let timeout = APIError(
        status: .requestTimeout, code: "invalid_request", description: "the request didn't arrive within 15 s")

    static func unsupportedType(_ accepted: String) -> APIError {
        APIError(status: .unsupportedMediaType, code: "invalid_request", description: "send \(accepted)")
    }

    /// Something is missing or too busy now.
    static func unavailable(_ description: String, retryAfter seconds: Int = 1) -> APIError {
        APIError(
            status: .serviceUnavailable, code: "temporarily_unavailable", description: description,
            headers: [.retryAfter: String(seconds)])
    }

    static let serverError = APIError(
        status: .internalServerError, code: "server_error", description: "something went wrong; the log says what")

    var response: Response {
        var response = Response.json(
            ["error": .string(code), "error_description": .string(description)], status: status)
        for field in headers { response.headers[field.name] = field.value }
        return response
    }
}

extension Response {
    /// A document that anybody may read and keep for a while (RFC 9110 sections 8.8.3 and 13.1.2).
    ///
    /// - Parameters:
    ///   - entityTag: strong, with quotes.
    ///   - maxAge: in seconds.
    static func published(
        _ body: ByteBuffer, type: String, entityTag: String, maxAge: Int64, for request: Request
    ) -> Response {
        var headers: HTTPFields = [
            .eTag: entityTag, .cacheControl: "public, max-age=\(maxAge)", .accessControlAllowOrigin: "*",
        ]
        if matches(request.headers[values: .ifNoneMatch], entityTag) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = type
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: body))
    }

    /// If-None-Match compares weakly.
    private static func matches(_ fields: [String], _ entityTag: String) -> Bool {
        fields.filter(\.isASCII).flatMap { $0.split(separator: ",") }.contains { field in
            let tag = field.trimming { $0 == " " || $0 == "\t" }
            return tag == "*" || (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag) == entityTag
        }
    }

    /// The strong entity tag of a document.
    static func entityTag(of body: [UInt8]) throws -> String {
        "\"\(Base64URL.encode(try SHA256.hash(body).prefix(16)))\""
    }

    /// A JSON answer that nobody may keep.
    static func json(_ object: JSONObject, status: HTTPResponse.Status = .ok) -> Response {
        json(object.json, status: status)
    }

    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            // RFC 6749 section 5.1 asks for both.
            headers: [.contentType: "application/json", .cacheControl: "no-store", .pragma: "no-cache"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static let noContent = Response(status: .noContent, headers: [.cacheControl: "no-store"])
}

extension HTTPField.Name {
    static let retryAfter = HTTPField.Name("Retry-After")!
    static let contentSecurityPolicy = HTTPField.Name("Content-Security-Policy")!
    static let xContentTypeOptions = HTTPField.Name("X-Content-Type-Options")!
    static let pragma = HTTPField.Name("Pragma")!
}
