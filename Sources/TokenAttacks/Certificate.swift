import JOSE

/// Certificates (RFC 5280) that anybody can make.
enum Certificate {
    /// A certificate of a key that has signed it itself, as DER.
    static func selfSigned(by signer: Signer) throws -> [UInt8] {
        // RSASSA-PSS would need parameters here; the same key signs PKCS #1 as well.
        let algorithm = signer.algorithm.keyType == .rsa ? Algorithm.rs256 : signer.algorithm
        let identifier = try identifier(of: algorithm)
        let content = DER.sequence(
            DER.element(0xA0, DER.integer([2])), DER.integer([1]), identifier, name, validity, name,
            try PEM.content(signer.key.publicKey.pem()))
        let signature = try SignatureForm.der(
            of: signer.key.signature(of: content, algorithm: algorithm), algorithm: algorithm)
        return DER.sequence(content, identifier, DER.bitString(signature))
    }

    /// The AlgorithmIdentifier of a signature (RFC 4055, RFC 5758, RFC 8410).
    private static func identifier(of algorithm: Algorithm) throws -> [UInt8] {
        switch algorithm {
        case .rs256:
            DER.sequence(object([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B]), DER.element(0x05, []))
        case .es256: DER.sequence(object([0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02]))
        case .es384: DER.sequence(object([0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03]))
        case .es512: DER.sequence(object([0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x04]))
        case .edDSA: DER.sequence(object([0x2B, 0x65, 0x70]))
        default: throw JOSEError(.unsupported, "a certificate signed with \(algorithm)")
        }
    }

    private static func object(_ identifier: [UInt8]) -> [UInt8] { DER.element(0x06, identifier) }

    /// commonName = attacker.example
    private static let name = DER.sequence(
        DER.element(
            0x31, DER.sequence(object([0x55, 0x04, 0x03]), DER.element(0x0C, Array("attacker.example".utf8)))))

    private static let validity = DER.sequence(
        DER.element(0x17, Array("200101000000Z".utf8)), DER.element(0x18, Array("99991231235959Z".utf8)))
}
