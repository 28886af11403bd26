internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// `POST /oauth2/revoke` (RFC 7009) and `POST /oauth2/introspect` (RFC 7662): what clients say and ask of tokens.
struct TokenStatusEndpoints: Sendable {
    let clients: ClientAuthenticator
    let sessions: Sessions
    /// Whether they were ended or not.
    let tokens: OwnTokens
    let issuer: TokenIssuer
    let clientAddress: ClientAddress
    let now: @Sendable () -> Instant

    static let revocationPath = "/oauth2/revoke"
    static let introspectionPath = "/oauth2/introspect"

    var routes: [Route] {
        [Route(.post, Self.revocationPath, revoke), Route(.post, Self.introspectionPath, introspect)]
    }

    // MARK: Revocation

    /// Answers 200 whatever the token is: what isn't good needs no revoking (RFC 7009 section 2.2).
    @Sendable private func revoke(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let parameters = try await OAuthParameters(of: request)
        let client = try await clients.requireClient(request, parameters)
        let text = try parameters.require("token")
        let actor = AuditActor.client(client.id, address: clientAddress(request, context)?.description)
        if let token = try await tokens.read(text) {
            if let sessionID = token.sessionID {
                if client.may(.revoke) { try await sessions.revoke(sessionID, ofUser: token.subject, by: actor) }
            } else if token.subject.isSpelt(client.id) || client.may(.revoke) {
                try await clients.directory.endTokens(naming: token.status, of: token.subject, by: actor)
            }
        } else if client.may(.revoke) {
            try await sessions.revoke(refreshToken: text, by: actor)
        }
        return Response(status: .ok, headers: [.cacheControl: "no-store"])
    }

    // MARK: Introspection

    @Sendable private func introspect(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let parameters = try await OAuthParameters(of: request)
        let client = try await clients.requireClient(request, parameters)
        let text = try parameters.require("token")
        guard client.may(.introspect), let members = try await members(of: text) else {
            return .json(["active": false])
        }
        return .json(members)
    }

    /// What is told of a token; `nil` for one that isn't good now. Asks the database.
    private func members(of text: String) async throws -> JSONObject? {
        guard let token = try await tokens.read(text) else { return try await members(ofRefreshToken: text) }
        guard now() < token.expiresAt else { return nil }
        var members: JSONObject = ["active": true, "token_type": "Bearer"]
        if let sessionID = token.sessionID {
            guard let name = try await sessions.userName(sessionID: sessionID, userID: token.subject) else {
                return nil
            }
            members["username"] = .string(name)
        } else {
            guard try await clients.directory.store.hasPlace(token.status, id: token.subject) else { return nil }
        }
        // A claim of the user's own doesn't stand for what is known here.
        for member in token.claims.members.members where members[member.name] == nil && member.name != "username" {
            members[member.name] = member.value
        }
        return members
    }

    /// A refresh token is no access token: it has no `token_type`, and nobody but the issuer is its audience.
    private func members(ofRefreshToken text: String) async throws -> JSONObject? {
        guard let (grant, userName) = try await sessions.grant(ofRefreshToken: text) else { return nil }
        var members: JSONObject = [
            "active": true, "iss": .string(issuer.issuer), "sub": .string(grant.userID),
            "aud": .string(issuer.issuer), "client_id": .string(TokenIssuer.firstPartyClient),
            "username": .string(userName), "exp": .integer(grant.refreshableUntil.seconds),
            "sid": .string(grant.sessionID),
        ]
        if !grant.scopes.isEmpty { members["scope"] = .string(grant.scopes.joined(separator: " ")) }
        return members
    }
}
