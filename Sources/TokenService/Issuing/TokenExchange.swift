internal import JOSE

/// Swaps a token for one that says less, to somebody else (RFC 8693).
struct TokenExchange: Sendable {
    /// Those whose bit isn't set.
    let liveTokens: OwnTokens

    static let accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
    /// What may be asked for and brought: access tokens here are JWTs.
    private static let types = [accessTokenType, "urn:ietf:params:oauth:token-type:jwt"]

    /// The longest chain of actors.
    private static let maximumActors = 8

    /// What the token says that a client gets for the one it brings.
    ///
    /// - Throws: ``APIError`` `invalid_request` for tokens that aren't accepted (section 2.2.2), `invalid_scope`.
    func content(_ parameters: OAuthParameters, for client: Client, audiences: [String], at now: Instant) async throws
        -> AccessTokenContent
    {
        if let type = parameters["requested_token_type"], ![type].areAmong(Self.types) {
            throw APIError.invalidRequest("requested_token_type isn't \(Self.accessTokenType)")
        }
        guard let subject = try await token("subject_token", parameters, at: now) else {
            throw APIError.invalidRequest("subject_token is missing")
        }
        let actor = try await token("actor_token", parameters, at: now)
        guard actor.map({ $0.sessionID == nil && $0.subject.isSpelt(client.id) }) ?? true else {
            throw APIError.invalidRequest("the actor_token isn't one of the client's own")
        }
        let had = subject.claims.members["scope"]?.string?.words ?? []
        let scopes = try parameters.scopes(among: client.scopes.filter { [$0].areAmong(had) })
        return AccessTokenContent(
            subject: subject.subject, audiences: audiences, clientID: client.id, scopes: scopes.isEmpty ? nil : scopes,
            sessionID: subject.sessionID, status: subject.status,
            actor: try Self.chain(client.id, before: subject.claims.members["act"]?.object),
            claims: ClaimRules.withoutRegistered(subject.claims.members), latestExpiry: subject.expiresAt)
    }

    private func token(_ name: String, _ parameters: OAuthParameters, at now: Instant) async throws -> OwnToken? {
        let type = parameters[name + "_type"]
        guard let text = parameters[name] else {
            if type != nil { throw APIError.invalidRequest("\(name)_type is there without \(name)") }
            return nil
        }
        guard let type else { throw APIError.invalidRequest("\(name)_type is missing") }
        guard [type].areAmong(Self.types) else {
            throw APIError.invalidRequest("\(name)_type isn't \(Self.accessTokenType)")
        }
        guard let token = try await liveTokens.read(text), token.expiresAt.seconds > now.seconds else {
            throw APIError.invalidRequest("the \(name) isn't a valid access token of this issuer")
        }
        return token
    }

    /// The `act` claim: who acts now, and within it who did before (section 4.1).
    private static func chain(_ id: String, before: JSONObject?) throws -> JSONObject {
        var count = 1
        var next = before
        while let actor = next {
            count += 1
            next = actor["act"]?.object
        }
        guard count <= maximumActors else {
            throw APIError.invalidRequest("the token went through \(maximumActors) services already")
        }
        var chain: JSONObject = ["sub": .string(id)]
        chain["act"] = before.map { .object($0) }
        return chain
    }
}
