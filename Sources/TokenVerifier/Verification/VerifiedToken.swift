internal import Foundation
public import JOSE

/// A token that was accepted.
public struct VerifiedToken<Claims: Decodable & Sendable>: Sendable {
    public let header: JWSHeader
    /// The registered claims, and all others as JSON.
    public let claims: JWTClaims
    /// The caller's own view of the claims.
    public let custom: Claims
    /// The claims as they were spelt.
    public let payload: [UInt8]

    /// The `sub`: whom the token is about.
    public var subject: String { claims.subject ?? "" }

    /// The scopes that the token has (RFC 8693 section 4.2).
    public var scopes: [Substring] { claims.members["scope"]?.string?.split(separator: " ") ?? [] }

    init(_ jws: JWS, _ claims: JWTClaims) throws {
        header = jws.header
        payload = jws.payload
        self.claims = claims
        if Claims.self == NoClaims.self {
            custom = NoClaims() as! Claims
        } else {
            custom = try JSONDecoder().decode(Claims.self, from: Data(jws.payload))
        }
    }
}

/// For who needs no claims of their own.
public struct NoClaims: Codable, Hashable, Sendable {
    public init() {}
}

/// What came of verifying a token.
public enum Verification<Claims: Decodable & Sendable>: Sendable {
    case accepted(VerifiedToken<Claims>)
    case rejected(TokenRejection)

    /// The token, or the rejection thrown.
    public func get() throws(TokenRejection) -> VerifiedToken<Claims> {
        switch self {
        case .accepted(let token): return token
        case .rejected(let rejection): throw rejection
        }
    }
}
