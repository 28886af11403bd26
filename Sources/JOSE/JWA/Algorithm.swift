/// A signature algorithm of JWS (RFC 7518 section 3, RFC 8037): one row of the table.
///
/// There is no row for `none` and none for HMAC.
public struct Algorithm: Hashable, Sendable, CustomStringConvertible {
    enum Padding { case none, pkcs1, pss }

    /// The `alg` value.
    public let name: String
    /// The `kty` value of its keys.
    public let keyType: KeyType
    /// The curve of its keys, if they have one.
    public let curve: Curve?
    /// The hash function; EdDSA has its own inside.
    let digest: Digest?
    let padding: Padding

    private init(_ name: String, _ keyType: KeyType, curve: Curve? = nil, _ digest: Digest?, _ padding: Padding = .none)
    {
        self.name = name
        self.keyType = keyType
        self.curve = curve
        self.digest = digest
        self.padding = padding
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256.
    public static let rs256 = Algorithm("RS256", .rsa, .sha256, .pkcs1)
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    public static let rs384 = Algorithm("RS384", .rsa, .sha384, .pkcs1)
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    public static let rs512 = Algorithm("RS512", .rsa, .sha512, .pkcs1)
    /// RSASSA-PSS with SHA-256.
    public static let ps256 = Algorithm("PS256", .rsa, .sha256, .pss)
    /// RSASSA-PSS with SHA-384.
    public static let ps384 = Algorithm("PS384", .rsa, .sha384, .pss)
    /// RSASSA-PSS with SHA-512.
    public static let ps512 = Algorithm("PS512", .rsa, .sha512, .pss)
    /// ECDSA on P-256 with SHA-256.
    public static let es256 = Algorithm("ES256", .ellipticCurve, curve: .p256, .sha256)
    /// ECDSA on P-384 with SHA-384.
    public static let es384 = Algorithm("ES384", .ellipticCurve, curve: .p384, .sha384)
    /// ECDSA on P-521 with SHA-512.
    public static let es512 = Algorithm("ES512", .ellipticCurve, curve: .p521, .sha512)
    /// Ed25519 (RFC 8037).
    public static let edDSA = Algorithm("EdDSA", .octetKeyPair, nil)

    /// Every algorithm there is.
    public static let table: [Algorithm] = [
        rs256, rs384, rs512, ps256, ps384, ps512, es256, es384, es512, edDSA,
    ]

    /// The row with an `alg` value, letter case included; `nil` where there is none.
    init?(spelt name: String) {
        guard let row = Self.table.first(where: { $0.name.isSpelt(name) }) else { return nil }
        self = row
    }

    /// The row with an `alg` value, letter case included.
    ///
    /// - Throws: ``JOSEError`` `unsupported` where there is none.
    public init(named name: String) throws {
        guard let row = Algorithm(spelt: name) else {
            throw JOSEError(
                .unsupported, "an unknown algorithm; there are \(Self.table.map(\.name).joined(separator: ", "))")
        }
        self = row
    }

    public var description: String { name }

    public static func == (left: Algorithm, right: Algorithm) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// Whether a key of this kind is a key for this algorithm.
    func fits(_ parameters: KeyParameters) -> Bool {
        keyType == parameters.type && curve == parameters.curve
    }

    /// The parameters of new keys.
    ///
    /// - Parameter rsaBits: the size of the modulus where it is an RSA algorithm.
    func keyParameters(rsaBits: Int) -> KeyParameters {
        switch (keyType, curve) {
        case (.ellipticCurve, let curve?): .ec(curve)
        case (.octetKeyPair, _): .ed25519
        default: .rsa(bits: rsaBits)
        }
    }
}
