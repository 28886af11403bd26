internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdTokenVerifier

/// The cookies that carry a session's tokens to browsers (RFC 6265bis), where pages can't read them.
struct SessionCookies: Sendable {
    private let isSecure: Bool
    /// The name of the access token's.
    let accessName: String
    private let refreshName: String

    private static let accessPath = "/"
    private static let refreshPath = "/auth"

    /// - Parameter issuer: over https the cookies are `Secure`, and their names have the browser see to it.
    init(issuer: String) {
        isSecure = issuer.lowercased().hasPrefix("https:")
        accessName = isSecure ? "__Host-access_token" : "access_token"
        refreshName = isSecure ? "__Secure-refresh_token" : "refresh_token"
    }

    func refreshToken(of request: Request) -> String? { request.cookie(named: refreshName) }

    /// Whether a request has any of them.
    func areIn(_ request: Request) -> Bool {
        request.cookie(named: accessName) != nil || request.cookie(named: refreshName) != nil
    }

    func set(_ pair: Sessions.TokenPair, in response: inout Response) {
        add(accessName, pair.accessToken.text, Self.accessPath, pair.accessToken.expiresIn, to: &response)
        add(refreshName, pair.refreshToken, Self.refreshPath, pair.refreshExpiresIn, to: &response)
    }

    func clear(in response: inout Response) {
        add(accessName, "", Self.accessPath, 0, to: &response)
        add(refreshName, "", Self.refreshPath, 0, to: &response)
    }

    private func add(_ name: String, _ value: String, _ path: String, _ maxAge: Int64, to response: inout Response) {
        let field =
            "\(name)=\(value); Path=\(path); Max-Age=\(maxAge); HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
        response.headers.append(HTTPField(name: .setCookie, value: field))
    }
}
