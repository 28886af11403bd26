/// The `kty` values of JWK that sign (RFC 7518 section 6, RFC 8037).
public enum KeyType: String, Hashable, Sendable, CaseIterable {
    case rsa = "RSA"
    case ellipticCurve = "EC"
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

    public static let p256 = Curve(name: "P-256", coordinateSize: 32, openSSLGroup: "prime256v1")
    public static let p384 = Curve(name: "P-384", coordinateSize: 48, openSSLGroup: "secp384r1")
    public static let p521 = Curve(name: "P-521", coordinateSize: 66, openSSLGroup: "secp521r1")

    static let table = [p256, p384, p521]
}

/// What kind of key a key is.
public enum KeyParameters: Hashable, Sendable {
    case rsa(bits: Int)
    case ec(Curve)
    case ed25519

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
