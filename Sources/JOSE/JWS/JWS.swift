/// A signed content in the compact serialisation (RFC 7515 section 7.1), read but not yet verified.
public struct JWS: Sendable {
    /// The protected header; a stranger's until the signature is verified.
    public let header: JWSHeader
    /// What was signed; not to be believed before ``verify(with:)-(JWK)``.
    public let payload: [UInt8]
    let signature: [UInt8]
    /// Header and payload as they were spelt.
    let signingInput: ArraySlice<UInt8>

    /// The longest token that is read, in bytes.
    public static let maximumTokenSize = 16 * 1024

    /// Reads three base64url parts with dots between them.
    ///
    /// - Parameters:
    ///   - compact: the compact serialisation as ASCII.
    ///   - maximumSize: a longer text is refused before it is looked at.
    /// - Throws: ``JOSEError`` `malformed` or `unsupported`.
    public init(compact: some Collection<UInt8>, maximumSize: Int = JWS.maximumTokenSize) throws {
        guard compact.count <= maximumSize else { throw JOSEError(.malformed, "a token over \(maximumSize) bytes") }
        // Generic code isn't specialised for other modules, and slow then.
        try self.init(bytes: Array(compact))
    }

    private init(bytes compact: [UInt8]) throws {
        try self.init(CompactJWS(compact))
    }

    package init(_ parts: CompactJWS) throws {
        try self.init(parts, header: JWSHeader(json: Base64URL.decode(parts.header)))
    }

    /// - Parameter header: what the header spells.
    package init(_ parts: CompactJWS, header: JWSHeader) throws {
        self.header = header
        payload = try Base64URL.decode(parts.payload)
        signature = try Base64URL.decode(parts.signature)
        signingInput = parts.signingInput
    }

    /// Reads three base64url parts with dots between them.
    ///
    /// - Parameters:
    ///   - compact: the compact serialisation.
    ///   - maximumSize: a longer text, in bytes, is refused before it is looked at.
    /// - Throws: ``JOSEError`` `malformed` or `unsupported`.
    public init(compact: String, maximumSize: Int = JWS.maximumTokenSize) throws {
        try self.init(compact: Array(compact.utf8), maximumSize: maximumSize)
    }

    /// Checks the signature with a key that the caller trusts. The key decides which algorithms there are; a `kid` in the
    /// header must be the key's where both have one.
    ///
    /// - Throws: ``JOSEError`` `unknownKey` for another `kid`, `unsupported` for another algorithm than the key's,
    ///   `signatureInvalid`.
    public func verify(with key: JWK) throws {
        if let expected = key.keyID, let keyID = header.keyID, keyID != expected {
            throw JOSEError(.unknownKey, "a token whose kid isn't the key's")
        }
        guard let algorithm = header.algorithm, key.isFor(algorithm) else {
            throw JOSEError(.unsupported, "a token whose alg isn't the key's")
        }
        guard try key.publicKey.isValidSignature(signature, of: signingInput, algorithm: algorithm) else {
            throw JOSEError(.signatureInvalid, "a signature that doesn't belong to the token and the key")
        }
    }

    /// Checks the signature with the keys of a trusted set that the header's `kid` names, or, where it has none, those
    /// that go with its `alg`.
    ///
    /// - Returns: the key that made the signature.
    /// - Throws: ``JOSEError`` `unknownKey` where no key is meant; else as ``verify(with:)-(JWK)``, for the key that
    ///   came nearest.
    @discardableResult
    public func verify(with set: JWKSet) throws -> JWK {
        var failure = JOSEError(.unknownKey, "a token whose key isn't in the set")
        for key in set.keys where key.isMeant(by: header) {
            do {
                try verify(with: key)
                return key
            } catch let error as JOSEError {
                // Of several reasons the one that comes nearest to a signature counts.
                if failure.code != .signatureInvalid { failure = error }
            }
        }
        throw failure
    }
}
