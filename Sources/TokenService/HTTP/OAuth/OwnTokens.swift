internal import JOSE
internal import TokenVerifier

/// An access token that this issuer signed, for whichever audience.
struct OwnToken: Sendable {
    let claims: JWTClaims
    let subject: String
    let clientID: String
    /// `nil` for a machine's.
    let sessionID: String?
    /// A verifier with a leeway takes it for a moment longer.
    let expiresAt: Instant
    /// The place of its bit.
    let status: StatusReference
}

/// Reads access tokens that this issuer signed.
struct OwnTokens: Sendable {
    private let verifier: TokenVerifier<NoClaims>
    private let listsURL: String

    /// - Parameters:
    ///   - verifier: of any audience.
    ///   - listsURL: what the URLs of status lists start with.
    init(_ verifier: TokenVerifier<NoClaims>, listsURL: String) {
        self.verifier = verifier
        self.listsURL = listsURL
    }

    /// The token that a text is; `nil` where the verifier rejects it.
    func read(_ text: String) async throws -> OwnToken? {
        guard case .accepted(let token) = try await verifier.verify(text) else { return nil }
        let claims = token.claims
        guard let clientID = claims.members["client_id"]?.string, let expiresAt = claims.expiresAt,
            let status = StatusListReference(claim: claims.members["status"])
                .flatMap({ StatusReference($0, listsURL: listsURL) })
        else { return nil }
        return OwnToken(
            claims: claims, subject: token.subject, clientID: clientID, sessionID: claims.members["sid"]?.string,
            expiresAt: expiresAt, status: status)
    }
}
