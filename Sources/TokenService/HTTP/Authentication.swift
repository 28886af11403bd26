internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import KeyService
internal import TokenVerifier

/// The keys of this very service.
struct OwnKeys: KeySource {
    let keys: KeyService

    func keySet() async throws -> JWKSet { try keys.current().keySet }
}

/// A caller with a valid token.
struct Caller: Sendable {
    let userID: String
    let sessionID: String
    /// The claims as the token spells them.
    let payload: [UInt8]
    let isByCookie: Bool
    /// Whether the session was ended since the token was signed.
    let isEnded: Bool
}

/// Takes the access token out of a request (RFC 6750 section 2.1, or the cookie) and verifies it, its status bit included.
struct Authentication: Sendable {
    let verifier: TokenVerifier<OwnKeys>
    let statusLists: StatusLists
    let statusListsURL: String
    let cookies: SessionCookies
    let origins: Origins
    let now: @Sendable () -> Instant

    /// The caller of a request, whether the session was ended or not; `nil` for a request without a token. The header
    /// counts before the cookie.
    ///
    /// - Throws: ``APIError`` for a token that is refused, and for a cookie that another site's page sent.
    func callerOfAnySession(_ request: Request) async throws -> Caller? {
        if let token = try Self.bearerToken(request) { return try await caller(token, isByCookie: false) }
        guard let token = cookies.accessToken(of: request) else { return nil }
        if !request.method.isSafe { try origins.check(request) }
        return try await caller(token, isByCookie: true)
    }

    /// The caller of a request, whose session goes on.
    ///
    /// - Throws: ``APIError`` where there is no valid token.
    func caller(_ request: Request) async throws -> Caller {
        guard let caller = try await callerOfAnySession(request) else { throw APIError.missingToken }
        guard !caller.isEnded else { throw APIError.invalidToken("the session was ended") }
        return caller
    }

    private static func bearerToken(_ request: Request) throws -> String? {
        let fields = request.headers[values: .authorization]
        guard let field = fields.first else { return nil }
        let parts = field.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count == 1, parts.count == 2 else { throw APIError.invalidToken("not one bearer token") }
        return parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
    }

    private func caller(_ token: String, isByCookie: Bool) async throws -> Caller {
        do {
            let token = try await verifier.verify(token, at: now())
            let members = token.claims.members
            guard let userID = token.claims.subject, let sessionID = members["sid"]?.string else {
                throw APIError.invalidToken("the token isn't a user's")
            }
            guard let status = StatusReference(claim: members["status"], listsURL: statusListsURL),
                let isEnded = try await statusLists.isSet(status)
            else { throw APIError.invalidToken("the token names no status list of this service") }
            return Caller(
                userID: userID, sessionID: sessionID, payload: token.payload, isByCookie: isByCookie, isEnded: isEnded)
        } catch let error as JOSEError {
            throw APIError.invalidToken(error.code == .expired ? "the token is expired" : "the token isn't valid here")
        }
    }
}

extension HTTPRequest.Method {
    /// Whether it changes nothing (RFC 9110 section 9.2.1).
    var isSafe: Bool { [.get, .head, .options, .trace].contains(self) }
}
