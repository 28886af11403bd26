/// Signs contents in the compact serialisation with one key; the header is spelt once.
public struct JWSSigner: Sendable {
    /// The `kid` of its headers.
    public let keyID: KeyID
    /// The `alg` of its headers.
    public let algorithm: Algorithm
    private let key: PrivateKey
    /// The base64url of the header, and the dot.
    private let headerPart: [UInt8]

    /// A signer for one key, algorithm and kind of token.
    ///
    /// - Parameters:
    ///   - key: what signs.
    ///   - keyID: the `kid` of the header, under which verifiers find the public half.
    ///   - algorithm: one that goes with the key.
    ///   - type: the `typ` of the header: `at+jwt` for access tokens (RFC 9068 section 2.1).
    /// - Throws: ``JOSEError`` `unsupported` for an algorithm that doesn't go with the key.
    public init(key: PrivateKey, keyID: KeyID, algorithm: Algorithm, type: String) throws {
        guard algorithm.fits(key.publicKey.parameters) else {
            throw JOSEError(.unsupported, "\(algorithm) with a key of another kind")
        }
        self.key = key
        self.keyID = keyID
        self.algorithm = algorithm
        let header: JSONObject = [
            "alg": .string(algorithm.name), "kid": .string(keyID.rawValue), "typ": .string(type),
        ]
        var part: [UInt8] = []
        Base64URL.append(header.json, to: &part)
        part.append(UInt8(ascii: "."))
        headerPart = part
    }

    /// The compact serialisation of a payload with its signature.
    public func sign(_ payload: [UInt8]) throws -> String {
        var text: [UInt8] = []
        // The longest signature is that of an RSA key of 8192 bits, but few need so much room.
        text.reserveCapacity(headerPart.count + payload.count * 4 / 3 + 352)
        text.append(contentsOf: headerPart)
        Base64URL.append(payload, to: &text)
        let signature = try key.signature(of: text, algorithm: algorithm)
        text.append(UInt8(ascii: "."))
        Base64URL.append(signature, to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
