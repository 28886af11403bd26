public import JOSE

/// What attacks are made of: the issuer's own signing key and a valid token's claims.
///
/// The issuer's key is needed because most flaws show only in a token whose signature is sound. The attacker's keys are
/// made anew for each material.
public struct AttackMaterial: Sendable {
    /// A signing key of the issuer.
    public let key: PrivateKey
    /// The `kid` under which the issuer publishes it.
    public let keyID: KeyID
    /// The algorithm that the issuer signs with.
    public let algorithm: Algorithm
    /// The claims of an access token that is valid at ``now``.
    public let claims: JSONObject
    /// When the tokens are going to be verified.
    public let now: Instant
    /// Where `jku` and `x5u` point. Nobody has to listen there; whoever does, and answers ``attackerJWKS()``, catches a
    /// verifier that follows them: a request is proof enough.
    public var attackerURL = "http://127.0.0.1:9/jwks.json"

    let issuer: Signer
    /// Somebody with a key of the same kind as the issuer's.
    let attacker: Signer
    /// Somebody with a key of another kind.
    let stranger: Signer

    /// Makes the attacker's keys, of which the RSA one takes some tenths of a second.
    ///
    /// - Parameters:
    ///   - key: a key that goes with the algorithm.
    ///   - claims: with `iss`, `aud` and an `exp` after `now`, as RFC 9068 section 2.2 wants them.
    /// - Throws: ``JOSEError`` `unsupported` for an algorithm that isn't the key's, `claimRefused` or `malformed` for
    ///   claims that no verifier would accept.
    public init(key: PrivateKey, keyID: KeyID, algorithm: Algorithm, claims: JSONObject, now: Instant) throws {
        let registered = try JWTClaims(claims)
        guard let name = registered.issuer, !registered.audiences.isEmpty else {
            throw JOSEError(.claimRefused, "claims to make attacks of need iss and aud")
        }
        guard let expiresAt = registered.expiresAt, expiresAt > now else {
            throw JOSEError(.claimRefused, "claims to make attacks of must not have expired")
        }
        self.key = key
        self.keyID = keyID
        self.algorithm = algorithm
        self.claims = claims
        self.now = now
        issuerName = name
        audience = registered.audiences[0]
        issuer = Signer(key: key, keyID: keyID, algorithm: algorithm)
        attacker = try Signer(newKeyFor: algorithm)
        stranger = try Signer(newKeyFor: algorithm.keyType == .rsa ? .es256 : .rs256)
        _ = try validToken()
    }

    /// The `iss` of the claims.
    let issuerName: String
    /// The first `aud` of the claims.
    let audience: String

    /// The token that every attack is a spoilt copy of, in the compact serialisation.
    public func validToken() throws -> String {
        try JWSSigner(key: key, keyID: keyID, algorithm: algorithm, type: "at+jwt").sign(claims.json)
    }

    /// A JWK Set with the attacker's public key, under its own `kid` and under the issuer's: what an attacker would
    /// have at ``attackerURL``.
    public func attackerJWKS() throws -> [UInt8] {
        var disguised = attacker.jwk
        disguised.keyID = keyID
        return try JWKSet([attacker.jwk, disguised]).json()
    }
}

/// A key, and what a token that it signs says about it.
struct Signer: Sendable {
    let key: PrivateKey
    let keyID: KeyID
    let algorithm: Algorithm

    var jwk: JWK { JWK(key.publicKey, keyID: keyID, algorithm: algorithm) }

    func signature(of message: [UInt8]) throws -> [UInt8] { try key.signature(of: message, algorithm: algorithm) }
}

extension Signer {
    init(newKeyFor algorithm: Algorithm) throws {
        key = try PrivateKey.generate(for: algorithm)
        keyID = try key.publicKey.thumbprint()
        self.algorithm = algorithm
    }
}
