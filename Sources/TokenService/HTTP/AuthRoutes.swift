internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdTokenVerifier
internal import JOSE
internal import TokenVerifier

/// `/auth/*`: what users do.
struct AuthRoutes: Sendable {
    let authenticator: Authenticator
    let sessions: Sessions
    let authentication: Authentication
    let cookies: SessionCookies
    let origins: Origins
    let clientAddress: ClientAddress

    var routes: [Route] {
        [
            Route(.post, "/auth/log-in", logIn), Route(.post, "/auth/refresh", refresh),
            Route(.post, "/auth/log-out") { try await logOut($0, $1, everywhere: false) },
            Route(.post, "/auth/log-out-everywhere") { try await logOut($0, $1, everywhere: true) },
            Route(.post, "/auth/password", changePassword), Route(.get, "/auth/me", isProtected: true, me),
            Route(.get, "/auth/sessions", listSessions), Route(.delete, "/auth/sessions/{id}", endSession),
        ]
    }

    private func origin(_ request: Request, _ context: ServiceRequestContext) -> SessionOrigin {
        SessionOrigin(address: clientAddress(request, context)?.description, userAgent: request.headers[.userAgent])
    }

    // MARK: Tokens

    @Sendable private func logIn(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let body = try await RequestBody(of: request)
        let (name, password) = (try body.text("username"), try body.text("password"))
        let requested = try body.optionalText("scope")?.words
        let isByCookie = try body.isDeliveredByCookie
        // To be logged in as somebody else by a stranger's page is an attack, too.
        if isByCookie { try origins.check(request) }
        let failure = APIError.invalidGrant("the name or the password is wrong")
        let address = clientAddress(request, context)
        guard let user = try await authenticator.authenticate(name: name, password: password, from: address) else {
            throw failure
        }
        if let requested, !requested.areAmong(user.scopes) {
            throw APIError.invalidScope("a scope that this user doesn't have")
        }
        let scopes = user.scopes.filter { scope in requested.map { [scope].areAmong($0) } ?? true }
        guard let pair = try await sessions.begin(for: user, scopes: scopes, from: origin(request, context)) else {
            throw failure
        }
        return response(pair, byCookie: isByCookie)
    }

    @Sendable private func refresh(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let body = try await RequestBody(of: request)
        var token = try body.optionalText("refresh_token")
        let isByCookie = token == nil
        if isByCookie, let cookie = cookies.refreshToken(of: request) {
            try origins.check(request)
            try body.requireJSON()
            token = cookie
        }
        guard let token else { throw APIError.invalidRequest("refresh_token is missing") }
        guard let pair = try await sessions.refresh(token, from: origin(request, context)) else {
            throw APIError.invalidGrant("the refresh token is used up, expired or unknown; log in again")
        }
        return response(pair, byCookie: isByCookie)
    }

    private func response(_ pair: Sessions.TokenPair, byCookie isByCookie: Bool) -> Response {
        var members: JSONObject = isByCookie ? [:] : ["access_token": .string(pair.accessToken.text)]
        members["token_type"] = "Bearer"
        members["expires_in"] = .integer(pair.accessToken.expiresIn)
        if !isByCookie { members["refresh_token"] = .string(pair.refreshToken) }
        members["scope"] = .string(pair.scopes.joined(separator: " "))
        var response = Response.json(members)
        if isByCookie { cookies.set(pair, in: &response) }
        return response
    }

    // MARK: Ending

    /// Ends the session that the bearer header, the body's refresh token or the cookies name; all where they name several.
    private func logOut(_ request: Request, _ context: ServiceRequestContext, everywhere: Bool) async throws -> Response
    {
        let origin = origin(request, context)
        let hasCookies = cookies.areIn(request)
        if hasCookies { try origins.check(request) }
        var refreshTokens: [String] = []
        if let token = try await RequestBody(of: request).optionalText("refresh_token") { refreshTokens.append(token) }
        if let token = cookies.refreshToken(of: request) { refreshTokens.append(token) }
        var isNamed = false
        var refusal = TokenChallenge.missingToken
        do {
            if let caller = try await authentication.callerOfAnySession(request) {
                try await sessions.end(caller, everywhere: everywhere, from: origin)
                isNamed = true
            }
        } catch let challenge as TokenChallenge {
            // The access token has expired, say; the refresh token names the session as well.
            refusal = challenge
        }
        for token in refreshTokens {
            let isOurs = try await sessions.end(refreshToken: token, everywhere: everywhere, from: origin)
            isNamed = isNamed || isOurs
        }
        var response = Response.noContent
        if !isNamed {
            response =
                refreshTokens.isEmpty
                ? refusal.response : APIError.invalidGrant("the refresh token is unknown").response
        }
        // Dead ones, too: no script of the page's can clear them.
        if hasCookies { cookies.clear(in: &response) }
        return response
    }

    @Sendable private func changePassword(_ request: Request, _ context: ServiceRequestContext) async throws -> Response
    {
        let caller = try await authentication.caller(request)
        let body = try await RequestBody(of: request)
        if caller.isByCookie { try body.requireJSON() }
        let change = try await authenticator.changePassword(
            userID: caller.userID, current: body.text("current"), new: body.text("new"), sparing: caller.sessionID,
            from: clientAddress(request, context))
        switch change {
        case .done(let ending):
            sessions.didEnd(ending)
            return .noContent
        case .wrongPassword: throw APIError.invalidGrant("the current password is wrong")
        case .unusablePassword:
            throw APIError.invalidRequest("the new password is empty, longer than 1024 bytes or has control characters")
        }
    }

    // MARK: What the caller has

    @Sendable private func me(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        .json(try context.requireToken().payload)
    }

    @Sendable private func listSessions(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let caller = try await authentication.caller(request)
        let records = try await sessions.sessions(of: caller).map { record in
            var members = record.members
            members["current"] = .bool(record.id == caller.sessionID)
            return JSONValue.object(members)
        }
        return .json(JSONValue.array(records).json)
    }

    @Sendable private func endSession(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let caller = try await authentication.caller(request)
        let id = try context.parameters.require("id")
        guard try await sessions.end(sessionID: id, of: caller, from: origin(request, context)) else {
            throw APIError.notFound
        }
        var response = Response.noContent
        if caller.isByCookie, id == caller.sessionID { cookies.clear(in: &response) }
        return response
    }
}
