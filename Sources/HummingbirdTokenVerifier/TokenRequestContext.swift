public import Hummingbird
public import TokenVerifier

/// The context of a request that may carry an access token.
public protocol TokenRequestContext: RequestContext {
    /// The caller's own type for the claims, or ``NoClaims``.
    associatedtype Claims: Decodable & Sendable

    /// The token, once ``TokenMiddleware`` has accepted it.
    var token: VerifiedToken<Claims>? { get set }
}

extension TokenRequestContext {
    /// The token of a route behind ``TokenMiddleware``.
    ///
    /// - Throws: ``TokenChallenge`` where there is none.
    public func requireToken() throws -> VerifiedToken<Claims> {
        guard let token else { throw TokenChallenge.missingToken }
        return token
    }
}
