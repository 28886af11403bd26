public import JOSE

/// Where a verifier gets the issuer's public keys.
public protocol KeySource: Sendable {
    /// The published keys.
    func keySet() async throws -> JWKSet
}

/// A set of keys that is at hand already.
extension JWKSet: KeySource {
    public func keySet() async throws -> JWKSet { self }
}
