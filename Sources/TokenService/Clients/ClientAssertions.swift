internal import JOSE

/// Checks the assertions by which clients authenticate that have a key of their own (RFC 7523 section 3).
struct ClientAssertions: Sendable {
    /// One of these is the `aud`: the issuer, and the URL of the token endpoint.
    let audiences: [String]
    let leeway: Duration
    let now: @Sendable () -> Instant

    /// The `client_assertion_type` of RFC 7523 section 2.2.
    static let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    /// How far ahead an assertion may expire: for as long its `jti` is remembered.
    private static let longestLifetime = Duration.seconds(3600)

    /// The client that an assertion authenticates.
    ///
    /// - Parameter named: the `client_id` of the request, which has to be the same.
    /// - Throws: ``APIError`` `invalid_client`.
    func client(_ parameters: OAuthParameters, named: String?, in directory: ClientDirectory) async throws -> Client {
        guard let text = parameters["client_assertion"], parameters["client_assertion_type"]?.isSpelt(Self.type) == true
        else { throw Self.refusal("incomplete: send client_assertion, and client_assertion_type=\(Self.type)") }
        guard let jws = try? JWS(compact: text), let claims = try? JWTClaims(json: jws.payload),
            let id = claims.issuer, claims.subject?.isSpelt(id) == true, named?.isSpelt(id) ?? true
        else { throw Self.refusal("not a JWT whose iss and sub are the client_id") }
        guard let client = try await directory.client(id, where: { $0.hasSigned(jws) }) else {
            throw Self.refusal("not signed with a key of a client that is known")
        }
        // What follows is told to the client only.
        try await use(claims, jws.header, of: client, directory.store)
        return client
    }

    private func use(_ claims: JWTClaims, _ header: JWSHeader, of client: Client, _ store: ClientStore) async throws {
        func require(_ holds: Bool, _ problem: String) throws { if !holds { throw Self.refusal(problem) } }
        let now = now()
        try require(
            ["jwt", "client-authentication+jwt"].contains { header.type?.isSpelt($0) ?? true },
            "of another typ than JWT")
        // One string: an assertion for two servers could be used up at this one by the other.
        let audience = claims.members["aud"]?.string ?? ""
        try require(
            audiences.contains { $0.isSpelt(audience) },
            "for another aud than one of \(audiences.joined(separator: " and "))")
        guard let expiresAt = claims.expiresAt else { throw Self.refusal("without exp") }
        try require(now < expiresAt + leeway, "expired")
        try require(expiresAt <= now + Self.longestLifetime + leeway, "good for more than an hour")
        for instant in [claims.notBefore, claims.issuedAt].compactMap(\.self) {
            try require(instant <= now + leeway, "from the future")
        }
        guard let jwtID = claims.jwtID, !jwtID.utf8.isEmpty else { throw Self.refusal("without jti") }
        try require(
            try await store.use(jwtID: jwtID, ofClient: client.id, until: expiresAt + leeway * 2), "used before")
    }

    private static func refusal(_ problem: String) -> APIError {
        .invalidClient("the client assertion isn't accepted: it is \(problem)")
    }
}

extension Client {
    fileprivate func hasSigned(_ jws: JWS) -> Bool {
        credentials.contains { credential in
            guard case .key(let key) = credential else { return false }
            return (try? jws.verify(with: key)) != nil
        }
    }
}
