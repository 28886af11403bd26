internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import KeyService
internal import Storage
internal import TokenVerifier

/// The service's own keys as a source for its own verifier.
struct OwnKeys: KeySource {
    let keys: KeyService

    func keySet() async throws -> JWKSet { try keys.current().keySet }
}

/// Takes the access token out of a request (RFC 6750 section 2.1) and verifies it.
struct BearerAuthentication: Sendable {
    let verifier: TokenVerifier<OwnKeys>
    let now: @Sendable () -> Instant

    /// A caller with a valid token.
    struct Caller {
        let userID: String
        let sessionID: String
        /// The claims as the token spells them.
        let payload: [UInt8]
    }

    /// - Returns: `nil` for a request without a bearer token.
    /// - Throws: ``APIError`` for a token that is refused.
    func caller(_ request: Request) async throws -> Caller? {
        let fields = request.headers[values: .authorization]
        guard let field = fields.first else { return nil }
        let parts = field.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count == 1, parts.count == 2 else { throw APIError.invalidToken("not one bearer token") }
        guard parts[0].lowercased() == "bearer" else { return nil }
        do {
            let token = try await verifier.verify(String(parts[1]), at: now())
            guard let userID = token.claims.subject, let sessionID = token.claims.members["sid"]?.string else {
                throw APIError.invalidToken("the token isn't a user's")
            }
            return Caller(userID: userID, sessionID: sessionID, payload: token.payload)
        } catch let error as JOSEError {
            throw APIError.invalidToken(error.code == .expired ? "the token is expired" : "the token isn't valid here")
        }
    }

    /// - Throws: ``APIError`` where there is no valid token.
    func requiredCaller(_ request: Request) async throws -> Caller {
        guard let caller = try await caller(request) else { throw APIError.missingToken }
        return caller
    }
}
