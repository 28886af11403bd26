internal import HTTPTypes
public import Hummingbird
internal import JOSE

/// Where a request carries its access token: in the Authorization header (RFC 6750 section 2.1), else perhaps in a cookie.
public struct AccessTokenSource: Sendable {
    /// The name of the cookie; `nil` where none is taken.
    public let cookieName: String?

    /// - Parameter cookieName: `access_token` or `__Host-access_token` for the cookies of a token service. A service that
    ///   takes cookies has to see to it that pages of other sites can't send requests that change something.
    public init(cookieName: String? = nil) { self.cookieName = cookieName }

    /// A token as a request carries it.
    public struct Found: Sendable {
        public let token: String
        public let isCookie: Bool
    }

    /// The token of a request. The header counts before the cookie.
    ///
    /// - Throws: ``TokenChallenge`` for a header that isn't one bearer token.
    public func token(of request: Request) throws -> Found? {
        let fields = request.headers[values: .authorization]
        // Another scheme is somebody else's; letter case doesn't count (RFC 9110 section 11.1).
        let bearers = fields.map(\.words).filter { words in
            words.first.map { $0.utf8.count == 6 && $0.lowercased() == "bearer" } ?? false
        }
        if let parts = bearers.first {
            guard fields.count == 1, parts.count == 2 else {
                throw TokenChallenge.invalidToken("not one bearer token")
            }
            return Found(token: parts[1], isCookie: false)
        }
        guard let cookieName, let value = request.cookie(named: cookieName) else { return nil }
        return Found(token: value, isCookie: true)
    }
}

extension Request {
    /// The value of a cookie; the first where there are several.
    package func cookie(named name: String) -> String? {
        let start = name + "="
        for field in headers[values: .cookie] {
            for pair in field.utf8.split(separator: UInt8(ascii: ";")) {
                let pair = pair.drop { $0 == UInt8(ascii: " ") }
                if pair.starts(with: start.utf8), pair.count > start.utf8.count {
                    return String(Substring(pair.dropFirst(start.utf8.count)))
                }
            }
        }
        return nil
    }
}
