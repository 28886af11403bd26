internal import JOSE

/// A token that was accepted, and what has to be looked at when it comes again. An object, so that remembering it and handing
/// it on counts one reference.
final class AcceptedToken: Sendable {
    let header: JWSHeader
    let claims: JWTClaims
    let payload: [UInt8]
    /// The caller's own view of the claims.
    let custom: any Sendable
    /// The key that signed it, and the set in which that was last found.
    let key: JWK
    let keys: PublishedKeys
    let status: StatusListReference?

    init(
        header: JWSHeader, claims: JWTClaims, payload: [UInt8], custom: any Sendable, key: JWK, keys: PublishedKeys,
        status: StatusListReference?
    ) {
        self.header = header
        self.claims = claims
        self.payload = payload
        self.custom = custom
        self.key = key
        self.keys = keys
        self.status = status
    }

    /// The same token, its key found in a newer set.
    func found(in keys: PublishedKeys) -> AcceptedToken {
        AcceptedToken(
            header: header, claims: claims, payload: payload, custom: custom, key: key, keys: keys, status: status)
    }
}
