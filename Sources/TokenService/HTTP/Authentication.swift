internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdTokenVerifier
internal import JOSE
internal import KeyService
internal import TokenVerifier

/// A caller with a valid token.
struct Caller: Sendable {
    let userID: String
    let sessionID: String
    let isByCookie: Bool
}

/// Finds out who makes a request, by the bearer header or the cookie.
struct Authentication: Sendable {
    let verifier: TokenVerifier<NoClaims>
    let verifierOfEnded: TokenVerifier<NoClaims>
    let source: AccessTokenSource
    let origins: Origins

    /// The caller of a request, whose session goes on.
    ///
    /// - Throws: ``TokenChallenge`` where there is no valid token, ``APIError`` for a cookie that another site's page sent.
    func caller(_ request: Request) async throws -> Caller {
        guard let caller = try await caller(request, verifier) else { throw TokenChallenge.missingToken }
        return caller
    }

    /// The caller of a request, whether the session was ended or not; `nil` for a request without a token.
    func callerOfAnySession(_ request: Request) async throws -> Caller? { try await caller(request, verifierOfEnded) }

    private func caller(_ request: Request, _ verifier: TokenVerifier<NoClaims>) async throws -> Caller? {
        guard let found = try source.token(of: request) else { return nil }
        if found.isCookie, !request.method.isSafe { try origins.check(request) }
        do {
            let token = try await verifier.verify(found.token).get()
            // A machine's has no session, and one that a service exchanged (RFC 8693) is for what it was asked for only.
            guard let sessionID = token.claims.members["sid"]?.string,
                token.claims.members["client_id"]?.string?.isSpelt(TokenIssuer.firstPartyClient) == true
            else { throw TokenChallenge.invalidToken("the token isn't one that the user logged in for") }
            return Caller(userID: token.subject, sessionID: sessionID, isByCookie: found.isCookie)
        } catch let rejection as TokenRejection {
            throw TokenChallenge(rejection)
        }
    }
}

extension HTTPRequest.Method {
    /// Whether it changes nothing (RFC 9110 section 9.2.1).
    var isSafe: Bool { [.get, .head, .options, .trace].contains(self) }
}

/// The keys of this very service as a source for its own verifier.
final class OwnKeys: KeySource {
    private let keyService: KeyService
    private let last: Locked<(view: KeyView, keys: PublishedKeys)?> = Locked(nil)

    init(_ keyService: KeyService) { self.keyService = keyService }

    func keys() async throws -> PublishedKeys {
        let view = try keyService.current()
        return last.withLock { last in
            if let last, last.view === view { return last.keys }
            let keys = PublishedKeys(view.keySet)
            last = (view, keys)
            return keys
        }
    }

    func keysLookingAgain() async -> PublishedKeys? { nil }
}

/// The status lists of this very service.
struct OwnStatuses: StatusSource {
    let lists: StatusLists
    /// What the URLs of lists start with.
    let listsURL: String

    func status(at reference: StatusListReference) async throws -> UInt8? {
        guard let place = StatusReference(reference, listsURL: listsURL) else { return nil }
        return try await lists.isSet(place).map { $0 ? 1 : 0 }
    }
}
