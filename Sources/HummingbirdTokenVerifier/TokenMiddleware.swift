public import Hummingbird
internal import Logging
public import TokenVerifier

/// Lets requests through that carry a valid access token, which the routes behind it find in their context.
///
///     let verifier = try TokenVerifier<MyClaims>(issuer: "https://id.example", audience: "https://api.example")
///     router.group("orders")
///         .add(middleware: TokenMiddleware(verifier))
///         .add(middleware: RequireScopes("orders:read"))
///         .get { _, context in try context.requireToken().custom.plan }
public struct TokenMiddleware<Context: TokenRequestContext>: RouterMiddleware {
    private let verifier: TokenVerifier<Context.Claims>
    private let source: AccessTokenSource

    /// - Parameter source: where requests carry their tokens.
    public init(_ verifier: TokenVerifier<Context.Claims>, source: AccessTokenSource = AccessTokenSource()) {
        self.verifier = verifier
        self.source = source
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard let found = try source.token(of: request) else { throw TokenChallenge.missingToken }
        var context = context
        do {
            context.token = try await verifier.verify(found.token).get()
        } catch let rejection as TokenRejection {
            context.logger.info("a token was rejected", metadata: ["reason": "\(rejection)"])
            throw TokenChallenge(rejection)
        } catch let error as VerifierUnavailable {
            context.logger.error("tokens can't be verified", metadata: ["reason": "\(error)"])
            throw TokenChallenge.unavailable
        }
        return try await next(request, context)
    }
}

/// Lets requests through whose token has some scopes; behind ``TokenMiddleware``.
public struct RequireScopes<Context: TokenRequestContext>: RouterMiddleware {
    private let scopes: [String]

    public init(_ scopes: String...) { self.scopes = scopes }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let granted = try context.requireToken().scopes
        guard scopes.allSatisfy({ scope in granted.contains { $0 == scope } }) else {
            throw TokenChallenge.insufficientScope(scopes)
        }
        return try await next(request, context)
    }
}
