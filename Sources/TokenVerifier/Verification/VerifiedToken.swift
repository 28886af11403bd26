internal import Foundation
public import JOSE

/// A token that was accepted.
public struct VerifiedToken<Claims: Decodable & Sendable>: Sendable {
    private let accepted: AcceptedToken
    /// The caller's own view of the claims.
    public let custom: Claims

    /// The header, whose `kid` tells the key that signed it.
    public var header: JWSHeader { accepted.signed.header }
    /// The registered claims, and all others as JSON.
    public var claims: JWTClaims { accepted.claims }
    /// The claims as they were spelt.
    public var payload: [UInt8] { accepted.payload }

    /// The `sub`: whom the token is about.
    public var subject: String { claims.subject ?? "" }

    /// The scopes that the token has (RFC 8693 section 4.2).
    public var scopes: [Substring] { claims.members["scope"]?.string?.split(separator: " ") ?? [] }

    init(_ accepted: AcceptedToken) {
        self.accepted = accepted
        // A verifier's checks decode by ``decode(_:)`` of its own `Claims`, and their tokens go to no other verifier.
        custom = accepted.custom as! Claims
    }

    /// The claims of a payload.
    ///
    /// - Throws: ``TokenRejection`` where they aren't of this type.
    static func decode(_ payload: [UInt8]) throws -> any Sendable {
        if Claims.self == NoClaims.self { return NoClaims() }
        do {
            return try JSONDecoder().decode(Claims.self, from: Data(payload))
        } catch is DecodingError {
            throw TokenRejection(.claimRefused, "claims that aren't of the type \(Claims.self)")
        }
    }
}

/// For who needs no claims of their own.
public struct NoClaims: Codable, Hashable, Sendable {
    /// No claims.
    public init() {}
}

/// What came of verifying a token.
public enum Verification<Claims: Decodable & Sendable>: Sendable {
    /// It is good, for this audience and now.
    case accepted(VerifiedToken<Claims>)
    /// It isn't, and why.
    case rejected(TokenRejection)

    /// The token, or the rejection thrown.
    public func get() throws(TokenRejection) -> VerifiedToken<Claims> {
        switch self {
        case .accepted(let token): return token
        case .rejected(let rejection): throw rejection
        }
    }
}
