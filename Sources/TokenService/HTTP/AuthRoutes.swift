internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// `/auth/*`: what users do.
struct AuthRoutes: Sendable {
    let accounts: Accounts
    let sessions: Sessions
    let authentication: BearerAuthentication

    var routes: [Route] {
        [
            Route(.post, "/auth/log-in", logIn), Route(.post, "/auth/refresh", refresh),
            Route(.post, "/auth/log-out") { request, _ in try await logOut(request, everywhere: false) },
            Route(.post, "/auth/log-out-everywhere") { request, _ in try await logOut(request, everywhere: true) },
            Route(.post, "/auth/password", changePassword), Route(.get, "/auth/me", me),
        ]
    }

    @Sendable private func logIn(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let body = try await RequestBody(of: request)
        let (name, password) = (try body.text("username"), try body.text("password"))
        let requested = try body.optionalText("scope").map { $0.split(separator: " ").map(String.init) }
        if try body.optionalText("delivery").map({ $0 != "body" }) == true {
            throw APIError.invalidRequest("this version delivers tokens in the body only")
        }
        let failure = APIError.invalidGrant("the name or the password is wrong")
        guard let user = try await accounts.authenticate(name: name, password: password) else { throw failure }
        if let requested, !requested.allSatisfy(user.scopes.contains) {
            throw APIError.invalidScope("a scope that this user doesn't have")
        }
        let scopes = user.scopes.filter { requested?.contains($0) ?? true }
        let origin = SessionOrigin(address: context.remoteAddress, userAgent: request.headers[.userAgent])
        guard let pair = try await sessions.begin(for: user, scopes: scopes, from: origin) else { throw failure }
        return Self.response(pair)
    }

    @Sendable private func refresh(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let token = try await RequestBody(of: request).text("refresh_token")
        guard let pair = try await sessions.refresh(token) else {
            throw APIError.invalidGrant("the refresh token is used up, expired or unknown; log in again")
        }
        return Self.response(pair)
    }

    private func logOut(_ request: Request, everywhere: Bool) async throws -> Response {
        let token = try await RequestBody(of: request).optionalText("refresh_token")
        do {
            if let caller = try await authentication.caller(request) {
                try await sessions.end(sessionID: caller.sessionID, userID: caller.userID, everywhere: everywhere)
                if token == nil { return .noContent }
            }
        } catch let error as APIError where token == nil {
            throw error
        } catch is APIError {
            // The access token has expired, say; the refresh token names the session as well.
        }
        guard let token else { throw APIError.missingToken }
        guard try await sessions.end(refreshToken: token, everywhere: everywhere) else {
            throw APIError.invalidGrant("the refresh token is unknown")
        }
        return .noContent
    }

    @Sendable private func changePassword(_ request: Request, _ context: ServiceRequestContext) async throws -> Response
    {
        let caller = try await authentication.requiredCaller(request)
        let body = try await RequestBody(of: request)
        let change = try await accounts.changePassword(
            userID: caller.userID, current: body.text("current"), new: body.text("new"), sparing: caller.sessionID)
        switch change {
        case .done: return .noContent
        case .wrongPassword: throw APIError.invalidGrant("the current password is wrong")
        case .unusablePassword:
            throw APIError.invalidRequest("the new password is empty, longer than 1024 bytes or has control characters")
        }
    }

    @Sendable private func me(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        .json(try await authentication.requiredCaller(request).payload)
    }

    private static func response(_ pair: Sessions.TokenPair) -> Response {
        .json([
            "access_token": .string(pair.accessToken.text), "token_type": "Bearer",
            "expires_in": .integer(pair.accessToken.expiresIn), "refresh_token": .string(pair.refreshToken),
            "scope": .string(pair.scopes.joined(separator: " ")),
        ])
    }
}
