internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// `POST /oauth2/token` (RFC 6749 section 3.2).
struct TokenEndpoint: Sendable {
    let clients: ClientAuthenticator
    let sessions: Sessions
    let issuer: TokenIssuer
    let exchange: TokenExchange
    let clientAddress: ClientAddress
    let now: @Sendable () -> Instant

    static let path = "/oauth2/token"

    /// The grants there are, as the metadata name them.
    enum Grant: String, CaseIterable {
        case clientCredentials = "client_credentials"
        case refreshToken = "refresh_token"
        case tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    }

    var routes: [Route] { [Route(.post, Self.path, token)] }

    @Sendable private func token(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let parameters = try await OAuthParameters(of: request)
        let name = try parameters.require("grant_type")
        guard let grant = Grant.allCases.first(where: { $0.rawValue.isSpelt(name) }) else {
            throw APIError.unsupportedGrantType
        }
        let caller = try await clients.caller(request, parameters)
        switch (grant, caller) {
        case (.refreshToken, .client):
            throw APIError.invalidGrant("the refresh token was issued to another client", status: .badRequest)
        case (.refreshToken, _):
            let address = clientAddress(request, context)?.description
            return try await refresh(
                parameters, from: SessionOrigin(address: address, userAgent: request.headers[.userAgent]))
        case (.clientCredentials, .client(let client)): return try await clientCredentials(parameters, client)
        case (.tokenExchange, .client(let client)): return try await tokenExchange(parameters, client)
        case (_, .firstParty): throw APIError.unauthorizedClient("this grant is for clients with credentials")
        case (_, .nobody): throw APIError.invalidClient("this grant needs a client's authentication")
        }
    }

    /// RFC 6749 section 4.4.
    private func clientCredentials(_ parameters: OAuthParameters, _ client: Client) async throws -> Response {
        let scopes = try parameters.scopes(among: client.scopes)
        let audiences = try parameters.audiences(among: client.audiences(default: issuer.audience))
        let token = try await issue(to: client) { status in
            AccessTokenContent(
                subject: client.id, audiences: audiences, clientID: client.id, scopes: scopes.isEmpty ? nil : scopes,
                status: status)
        }
        return answer(token, scopes)
    }

    /// RFC 6749 section 6, for the sessions of log-ins.
    private func refresh(_ parameters: OAuthParameters, from origin: SessionOrigin) async throws -> Response {
        let text = try parameters.require("refresh_token")
        _ = try parameters.audiences(among: [issuer.audience])
        do {
            guard let pair = try await sessions.refresh(text, scopes: parameters.scopes(), from: origin) else {
                throw APIError.invalidGrant(
                    "the refresh token is used up, expired or unknown; log in again", status: .badRequest)
            }
            return answer(pair.accessToken, pair.scopes, ["refresh_token": .string(pair.refreshToken)])
        } catch is SessionStore.ForeignScope {
            throw APIError.invalidScope("a scope that the session doesn't have")
        }
    }

    /// RFC 8693 section 2.
    private func tokenExchange(_ parameters: OAuthParameters, _ client: Client) async throws -> Response {
        guard client.may(.exchange) else {
            throw APIError.unauthorizedClient("the client may not exchange tokens: see clients add --may exchange")
        }
        let now = now()
        let audiences = try parameters.audiences(among: client.audiences(default: issuer.audience))
        let content = try await exchange.content(parameters, for: client, audiences: audiences, at: now)
        let token = try issuer.issue(content.under(client), for: .tokenExchange, at: now)
        return answer(token, content.scopes ?? [], ["issued_token_type": .string(TokenExchange.accessTokenType)])
    }

    /// Signs a token under the client's own bit.
    private func issue(to client: Client, _ content: (StatusReference) -> AccessTokenContent) async throws
        -> IssuedToken
    {
        guard let status = try await clients.directory.status(of: client) else {
            throw APIError.invalidClient("the client is gone, or its credentials are others now")
        }
        return try issuer.issue(content(status).under(client), for: .clientCredentials, at: now())
    }

    /// RFC 6749 section 5.1; a scope has a letter at least, so that none is left out.
    private func answer(_ token: IssuedToken, _ scopes: [String], _ more: JSONObject = [:]) -> Response {
        var members: JSONObject = [
            "access_token": .string(token.text), "token_type": "Bearer", "expires_in": .integer(token.expiresIn),
        ]
        for member in more.members { members[member.name] = member.value }
        if !scopes.isEmpty { members["scope"] = .string(scopes.joined(separator: " ")) }
        return .json(members)
    }
}

extension AccessTokenContent {
    /// Signed and limited as a client's tokens are.
    fileprivate func under(_ client: Client) -> AccessTokenContent {
        var content = self
        content.algorithm = client.algorithm
        content.lifetime = client.tokenLifetime
        return content
    }
}

extension Client {
    /// The audiences that it may ask for, the default first.
    fileprivate func audiences(default audience: String) -> [String] { audiences.isEmpty ? [audience] : audiences }
}
