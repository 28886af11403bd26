public import HTTPTypes
public import Hummingbird
internal import JOSE
internal import NIOCore
public import TokenVerifier

/// A request that was turned away for its token: the status and the challenge of RFC 6750 section 3, and OAuth's error as
/// JSON.
public struct TokenChallenge: HTTPResponseError {
    public let status: HTTPResponse.Status
    /// OAuth's error code.
    public let error: String
    public let errorDescription: String
    private let challenge: String?
    private let retryAfter: Int?

    private init(
        _ status: HTTPResponse.Status, _ error: String, _ description: String, challenge: String? = nil,
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.error = error
        errorDescription = description
        self.challenge = challenge
        self.retryAfter = retryAfter
    }

    /// A request without a token gets a challenge without an error code.
    public static let missingToken = TokenChallenge(
        .unauthorized, "invalid_token", "this needs an access token", challenge: "Bearer")

    /// - Parameter description: must not hold quotes or backslashes.
    public static func invalidToken(_ description: String) -> TokenChallenge {
        TokenChallenge(
            .unauthorized, "invalid_token", description,
            challenge: "Bearer error=\"invalid_token\", error_description=\"\(description)\"")
    }

    /// - Parameter scopes: what is needed.
    public static func insufficientScope(_ scopes: [String]) -> TokenChallenge {
        let description = "the token lacks a scope that this needs"
        let needed = scopes.isEmpty ? "" : ", scope=\"\(scopes.joined(separator: " "))\""
        return TokenChallenge(
            .forbidden, "insufficient_scope", description,
            challenge: "Bearer error=\"insufficient_scope\", error_description=\"\(description)\"\(needed)")
    }

    /// Nothing can be said of tokens now.
    public static let unavailable = TokenChallenge(
        .serviceUnavailable, "temporarily_unavailable", "tokens can't be verified now", retryAfter: 1)

    /// What a client gets for a token that was rejected.
    public init(_ rejection: TokenRejection) {
        self =
            rejection.code == .insufficientScope
            ? .insufficientScope([]) : .invalidToken(rejection.clientReason)
    }

    public func response(from request: Request, context: some RequestContext) throws -> Response { response }

    package var response: Response {
        let body: JSONObject = ["error": .string(error), "error_description": .string(errorDescription)]
        var headers: HTTPFields = [.contentType: "application/json", .cacheControl: "no-store"]
        headers[.wwwAuthenticate] = challenge
        if let retryAfter, let name = HTTPField.Name("Retry-After") { headers[name] = String(retryAfter) }
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body.json)))
    }
}
