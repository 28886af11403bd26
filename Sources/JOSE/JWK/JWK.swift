/// A JSON Web Key (RFC 7517) that verifies signatures, and signs where it has its private half.
public struct JWK: Sendable {
    /// The `kid`, by which tokens name it.
    public var keyID: KeyID?
    /// The one algorithm that the key says it is for.
    public var algorithm: Algorithm?
    /// The public half.
    public let publicKey: PublicKey
    /// The private half, if it is there.
    public let privateKey: PrivateKey?

    /// A key that verifies.
    ///
    /// - Parameters:
    ///   - publicKey: the key.
    ///   - keyID: its `kid`.
    ///   - algorithm: the one algorithm that it is for, of those that go with it; `nil` for all of those.
    public init(_ publicKey: PublicKey, keyID: KeyID? = nil, algorithm: Algorithm? = nil) {
        self.init(publicKey: publicKey, privateKey: nil, keyID: keyID, algorithm: algorithm)
    }

    /// A key that signs and verifies.
    ///
    /// - Parameters:
    ///   - privateKey: the key.
    ///   - keyID: its `kid`.
    ///   - algorithm: the one algorithm that it is for, of those that go with it; `nil` for all of those.
    public init(_ privateKey: PrivateKey, keyID: KeyID? = nil, algorithm: Algorithm? = nil) {
        self.init(publicKey: privateKey.publicKey, privateKey: privateKey, keyID: keyID, algorithm: algorithm)
    }

    private init(publicKey: PublicKey, privateKey: PrivateKey?, keyID: KeyID?, algorithm: Algorithm?) {
        self.publicKey = publicKey
        self.privateKey = privateKey
        self.keyID = keyID
        self.algorithm = algorithm
    }

    /// The algorithms that a signature may be made with: the key decides, a token only chooses among these.
    public var algorithms: [Algorithm] {
        algorithm.map { [$0] } ?? publicKey.parameters.algorithms
    }

    /// Whether an algorithm is one of ``algorithms``.
    func isFor(_ algorithm: Algorithm) -> Bool {
        self.algorithm.map { $0 == algorithm } ?? algorithm.fits(publicKey.parameters)
    }

    /// Whether a header may mean this key: it names its `kid`, or none.
    func isMeant(by header: JWSHeader) -> Bool { header.keyID.map { $0 == keyID } ?? true }

    /// The public members: `kty` and what belongs to it, and `kid`, `alg` and `use` where they are known.
    public func publicMembers() throws -> JSONObject {
        var members = try publicKey.thumbprintMembers()
        if let keyID { members["kid"] = .string(keyID.rawValue) }
        if let algorithm { members["alg"] = .string(algorithm.name) }
        members["use"] = "sig"
        return members
    }

    /// All members, the private ones included.
    ///
    /// - Throws: ``JOSEError`` `keyRefused` without a private half.
    public func privateMembers() throws -> JSONObject {
        guard let key = privateKey?.key else { throw JOSEError(.keyRefused, "a key without its private half") }
        var members = try publicMembers()
        switch publicKey.parameters {
        case .rsa:
            for (member, name) in JWK.privateRSAMembers {
                members[member] = .string(Base64URL.encode(try key.number(name)))
            }
        case .ec(let curve):
            members["d"] = .string(Base64URL.encode(try key.number("priv", count: curve.coordinateSize)))
        case .ed25519:
            members["d"] = .string(Base64URL.encode(try key.octets("priv")))
        }
        return members
    }

    /// The private members of an RSA key (RFC 7518 section 6.3.2) and OpenSSL's names for them.
    static let privateRSAMembers: [(String, StaticString)] = [
        ("d", "d"), ("p", "rsa-factor1"), ("q", "rsa-factor2"), ("dp", "rsa-exponent1"), ("dq", "rsa-exponent2"),
        ("qi", "rsa-coefficient1"),
    ]
}
