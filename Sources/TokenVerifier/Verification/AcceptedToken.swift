internal import JOSE

/// A token that was accepted, and what has to be looked at when it comes again. An object, so that remembering it and handing
/// it on counts one reference.
final class AcceptedToken: Sendable {
    /// Its header, and the key that signed it, in the set in which that was last found.
    let signed: KnownHeader
    let claims: JWTClaims
    let payload: [UInt8]
    /// The caller's own view of the claims.
    let custom: any Sendable
    let status: StatusListReference?

    init(
        signed: KnownHeader, claims: JWTClaims, payload: [UInt8], custom: any Sendable, status: StatusListReference?
    ) {
        self.signed = signed
        self.claims = claims
        self.payload = payload
        self.custom = custom
        self.status = status
    }

    /// The same token, its key found in a newer set.
    func found(in keys: PublishedKeys) -> AcceptedToken {
        AcceptedToken(
            signed: KnownHeader(signed.header, signedWith: signed.key, of: keys), claims: claims, payload: payload,
            custom: custom, status: status)
    }
}
