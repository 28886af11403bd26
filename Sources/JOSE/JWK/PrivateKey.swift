/// A key pair: what signs. Printing one shows nothing of it.
public struct PrivateKey: Sendable, CustomStringConvertible, CustomReflectable {
    let key: EVPKey
    /// The public half.
    public let publicKey: PublicKey

    init(checking key: EVPKey) throws {
        self.key = key
        publicKey = try PublicKey(checking: key)
    }

    init(trusting key: EVPKey) throws {
        self.key = key
        publicKey = try PublicKey(trusting: key)
    }

    /// A new key for an algorithm.
    ///
    /// - Parameters:
    ///   - algorithm: what it is to sign with.
    ///   - rsaBits: the size of the modulus where it is an RSA algorithm, 2048 to 8192.
    /// - Throws: ``JOSEError`` `keyRefused` for another size.
    public static func generate(for algorithm: Algorithm, rsaBits: Int = 2048) throws -> PrivateKey {
        let parameters = algorithm.keyParameters(rsaBits: rsaBits)
        if case .rsa(let bits) = parameters, !(PublicKey.minimumRSABits...PublicKey.maximumRSABits).contains(bits) {
            throw JOSEError(.keyRefused, "an RSA key of \(bits) bits; it needs 2048 to 8192")
        }
        return try PrivateKey(trusting: .generate(parameters))
    }

    /// Reads PKCS#8 (plain or encrypted), PKCS#1 or SEC1 as PEM, and checks the key: that its numbers fit one another,
    /// and what ``PublicKey/init(pem:)`` checks.
    ///
    /// - Throws: ``JOSEError`` `malformed`, `wrongPassphrase`, `unsupported` or `keyRefused`.
    public init(pem: String, passphrase: String? = nil) throws {
        try self.init(checking: .privateKey(pem: pem, passphrase: passphrase.map { SecretBytes($0.utf8) }))
    }

    /// Reads a key that this house wrote itself, without checking its numbers anew.
    package init(trustedPEM pem: String, passphrase: SecretBytes) throws {
        try self.init(trusting: .privateKey(pem: pem, passphrase: passphrase))
    }

    /// PKCS#8 as PEM, unencrypted.
    public func pkcs8PEM() throws -> String { try key.pkcs8PEM(passphrase: nil) }

    /// PKCS#8 as PEM, encrypted under a passphrase that is random itself: PBKDF2 has 2048 rounds only.
    ///
    /// - Parameter passphrase: 1 to 1024 bytes in UTF-8.
    /// - Throws: ``JOSEError`` `wrongPassphrase` for one of another length.
    public func pkcs8PEM(passphrase: String) throws -> String {
        try key.pkcs8PEM(passphrase: SecretBytes(passphrase.utf8))
    }

    package func pkcs8PEM(passphrase: SecretBytes) throws -> String { try key.pkcs8PEM(passphrase: passphrase) }

    /// PKCS#1 for an RSA key, SEC1 for an elliptic curve key, as PEM and unencrypted.
    ///
    /// - Throws: ``JOSEError`` `unsupported` for Ed25519, which has no such form.
    public func traditionalPEM() throws -> String {
        guard publicKey.parameters != .ed25519 else {
            throw JOSEError(.unsupported, "Ed25519 keys have no form but PKCS#8")
        }
        return try key.traditionalPEM()
    }

    /// The signature of a message in JWS's form.
    ///
    /// - Parameters:
    ///   - message: what is signed, byte for byte.
    ///   - algorithm: one of ``KeyParameters/algorithms`` of this key.
    /// - Returns: for ECDSA the two numbers side by side (RFC 7518 section 3.4), not DER.
    /// - Throws: ``JOSEError`` `unsupported` for another algorithm.
    public func signature(of message: [UInt8], algorithm: Algorithm) throws -> [UInt8] {
        guard algorithm.fits(publicKey.parameters) else {
            throw JOSEError(.unsupported, "\(algorithm) with a key of another kind")
        }
        return try key.withContext(for: .init(algorithm: algorithm, signs: true)) { try $0.sign(message) }
    }

    public var description: String { "(private key)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
