/// The public half of a key: what verifies.
public struct PublicKey: Sendable {
    let key: EVPKey
    /// What kind of key it is.
    public let parameters: KeyParameters

    /// Takes a key after checking it: its type and curve are in the table, its numbers fit, an RSA modulus has 2048 to
    /// ``maximumRSABits`` bits and a public exponent that is odd and at least 65537.
    init(checking key: EVPKey) throws {
        try self.init(trusting: key)
        if case .rsa(let bits) = parameters {
            guard bits >= Self.minimumRSABits else {
                throw JOSEError(.keyRefused, "an RSA key of \(bits) bits; it needs at least \(Self.minimumRSABits)")
            }
            guard bits <= Self.maximumRSABits else {
                throw JOSEError(.keyRefused, "an RSA key of \(bits) bits; at most \(Self.maximumRSABits) are taken")
            }
            let exponent = try key.number("e")
            guard let last = exponent.last, last & 1 == 1, exponent.count <= 8,
                exponent.reduce(0, { $0 << 8 | UInt64($1) }) >= 65537
            else { throw JOSEError(.keyRefused, "an RSA key whose public exponent isn't odd and at least 65537") }
        }
        try key.validate()
    }

    /// Takes a key that was checked when it came to us.
    init(trusting key: EVPKey) throws {
        self.key = key
        parameters = try key.parameters()
    }

    /// The smallest RSA modulus that is accepted (RFC 7518 section 3.3).
    public static let minimumRSABits = 2048
    /// The largest RSA modulus that is accepted: the cost of a verification grows with its square.
    public static let maximumRSABits = 8192

    /// Reads SubjectPublicKeyInfo or PKCS#1 as PEM, and checks the key.
    ///
    /// - Throws: ``JOSEError`` `malformed`, `unsupported` or `keyRefused`.
    public init(pem: String) throws {
        try self.init(checking: .publicKey(pem: pem))
    }

    /// SubjectPublicKeyInfo as PEM.
    public func pem() throws -> String { try key.publicKeyPEM() }

    /// Whether a signature in JWS's form belongs to the message.
    ///
    /// - Parameters:
    ///   - signature: for ECDSA the two numbers side by side (RFC 7518 section 3.4), not DER.
    ///   - message: what was signed, byte for byte.
    ///   - algorithm: one of ``KeyParameters/algorithms`` of this key.
    /// - Returns: `false` for a signature of a wrong length or with numbers out of range, too.
    /// - Throws: ``JOSEError`` `unsupported` for another algorithm.
    public func isValidSignature(_ signature: [UInt8], of message: [UInt8], algorithm: Algorithm) throws -> Bool {
        try isValidSignature(signature, of: message[...], algorithm: algorithm)
    }

    func isValidSignature(_ signature: [UInt8], of message: ArraySlice<UInt8>, algorithm: Algorithm) throws -> Bool {
        guard algorithm.fits(parameters) else {
            throw JOSEError(.unsupported, "\(algorithm) with a key of another kind")
        }
        if let size = algorithm.curve?.coordinateSize, signature.count != 2 * size { return false }
        return try key.withContext(for: .init(algorithm: algorithm, signs: false)) {
            try $0.verify(signature, of: message)
        }
    }

    /// The members that RFC 7638 hashes, in its order: the required public ones, sorted by name.
    func thumbprintMembers() throws -> JSONObject {
        func text(_ bytes: [UInt8]) -> JSONValue { .string(Base64URL.encode(bytes)) }
        switch parameters {
        case .rsa:
            return ["e": text(try key.number("e")), "kty": "RSA", "n": text(try key.number("n"))]
        case .ec(let curve):
            let size = curve.coordinateSize
            return [
                "crv": .string(curve.name), "kty": "EC", "x": text(try key.number("qx", count: size)),
                "y": text(try key.number("qy", count: size)),
            ]
        case .ed25519:
            return ["crv": "Ed25519", "kty": "OKP", "x": text(try key.octets("pub"))]
        }
    }

    /// The SHA-256 thumbprint (RFC 7638) in base64url, which this service uses as the `kid`.
    public func thumbprint() throws -> KeyID {
        KeyID(unchecked: Base64URL.encode(try SHA256.hash(try thumbprintMembers().json)))
    }
}

extension PublicKey: Equatable {
    public static func == (left: PublicKey, right: PublicKey) -> Bool { left.key.hasSamePublicHalf(as: right.key) }
}
