internal import JOSE

/// Why a token isn't accepted: an ordinary result, since anybody may send anything.
public struct TokenRejection: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable name for a kind of rejection. The list can grow.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name, in lower case with underscores.
        public let description: String

        /// Not a token of the form that access tokens have.
        public static let malformed = Code(description: "malformed")
        /// Signed by no key of the issuer.
        public static let unknownKey = Code(description: "unknown_key")
        /// Signed with an algorithm that isn't accepted, or with a signature that doesn't belong to it.
        public static let signatureInvalid = Code(description: "signature_invalid")
        /// It says something else than is asked for: another issuer, audience, type, or a claim is missing.
        public static let claimRefused = Code(description: "claim_refused")
        /// Past its `exp`.
        public static let expired = Code(description: "expired")
        /// Its status is another than valid: its session was ended, say.
        public static let revoked = Code(description: "revoked")
        /// A good token that lacks a scope.
        public static let insufficientScope = Code(description: "insufficient_scope")
    }

    /// What kind of rejection it is: what a caller may branch on.
    public let code: Code
    /// For the log: it may say more than a stranger should know, but never what the token holds.
    public let reason: String

    /// A rejection of a kind. The reason must not quote the token.
    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    init(_ error: JOSEError) {
        switch error.code {
        case .unknownKey: self.init(.unknownKey, error.reason)
        case .signatureInvalid, .unsupported: self.init(.signatureInvalid, error.reason)
        case .claimRefused: self.init(.claimRefused, error.reason)
        case .expired: self.init(.expired, error.reason)
        default: self.init(.malformed, error.reason)
        }
    }

    /// What a client may be told (RFC 6750 section 3.1).
    public var clientReason: String {
        switch code {
        case .expired: "the token is expired"
        case .revoked: "the session was ended"
        case .insufficientScope: "the token lacks a scope that this needs"
        default: "the token isn't valid here"
        }
    }

    /// OAuth's error code (RFC 6750 section 3.1).
    public var errorCode: String { code == .insufficientScope ? "insufficient_scope" : "invalid_token" }

    public var description: String { "\(code): \(reason)" }
}
