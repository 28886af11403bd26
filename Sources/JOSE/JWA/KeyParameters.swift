/// The `kty` values of JWK that sign (RFC 7518 section 6, RFC 8037).
public enum KeyType: String, Hashable, Sendable, CaseIterable {
    /// RSA, for RS256 to RS512 and PS256 to PS512.
    case rsa = "RSA"
    /// A point on one of the curves, for ES256 to ES512.
    case ellipticCurve = "EC"
    /// Ed25519, for EdDSA.
    case octetKeyPair = "OKP"

    /// The type with a `kty` value, by its bytes.
    init?(spelt name: String) {
        guard let type = Self.allCases.first(where: { $0.rawValue.isSpelt(name) }) else { return nil }
        self = type
    }

    var openSSLName: String { self == .octetKeyPair ? "ED25519" : rawValue }
}

/// An elliptic curve for ECDSA (RFC 7518 section 6.2.1.1): one row of the table.
public struct Curve: Hashable, Sendable {
    /// The `crv` value.
    public let name: String
    /// The bytes of one coordinate.
    let coordinateSize: Int
    /// What OpenSSL calls it when asked.
    let openSSLGroup: String

    var openSSLName: String { name }

    /// NIST P-256, for ES256.
    public static let p256 = Curve(name: "P-256", coordinateSize: 32, openSSLGroup: "prime256v1")
    /// NIST P-384, for ES384.
    public static let p384 = Curve(name: "P-384", coordinateSize: 48, openSSLGroup: "secp384r1")
    /// NIST P-521, for ES512.
    public static let p521 = Curve(name: "P-521", coordinateSize: 66, openSSLGroup: "secp521r1")

    static let table = [p256, p384, p521]
}

/// What kind of key a key is.
public enum KeyParameters: Hashable, Sendable {
    /// An RSA key, with the size of its modulus.
    case rsa(bits: Int)
    /// A key on a curve.
    case ec(Curve)
    /// An Ed25519 key.
    case ed25519

    /// The `kty` value.
    public var type: KeyType {
        switch self {
        case .rsa: .rsa
        case .ec: .ellipticCurve
        case .ed25519: .octetKeyPair
        }
    }

    var curve: Curve? {
        if case .ec(let curve) = self { curve } else { nil }
    }

    /// The algorithms that a key of this kind serves, the usual one first.
    public var algorithms: [Algorithm] { Algorithm.table.filter { $0.fits(self) } }
}
