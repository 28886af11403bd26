internal import HTTPTypes
internal import Hummingbird

/// The cookies that carry a session's tokens to browsers (RFC 6265bis), where pages can't read them.
struct SessionCookies: Sendable {
    private let isSecure: Bool
    private let accessName: String
    private let refreshName: String

    private static let accessPath = "/"
    private static let refreshPath = "/auth"

    /// - Parameter issuer: over https the cookies are `Secure`, and their names have the browser see to it.
    init(issuer: String) {
        isSecure = issuer.lowercased().hasPrefix("https:")
        accessName = isSecure ? "__Host-access_token" : "access_token"
        refreshName = isSecure ? "__Secure-refresh_token" : "refresh_token"
    }

    func accessToken(of request: Request) -> String? { Self.value(accessName, of: request) }

    func refreshToken(of request: Request) -> String? { Self.value(refreshName, of: request) }

    /// Whether a request has any of them.
    func areIn(_ request: Request) -> Bool { accessToken(of: request) != nil || refreshToken(of: request) != nil }

    private static func value(_ name: String, of request: Request) -> String? {
        for field in request.headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(
                    separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.count == 2, parts[0] == name, !parts[1].isEmpty { return String(parts[1]) }
            }
        }
        return nil
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
