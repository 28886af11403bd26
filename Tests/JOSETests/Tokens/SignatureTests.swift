import Testing

@testable import JOSE

@Suite("A signature is refused")
struct SignatureTests {
    /// The orders of the curves' groups.
    static let orders = [
        "P-256": "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "P-384": "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        "P-521": "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
            + "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ]

    private func expectInvalid(
        _ signature: [UInt8], of token: String, _ sample: SampleKey, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: JOSEError.of(.signatureInvalid), sourceLocation: sourceLocation) {
            try JWS(compact: Forge.token(token, signature: signature)).verify(with: JWK(sample.publicKey))
        }
    }

    @Test("of another length", arguments: SampleKey.all)
    func length(_ sample: SampleKey) throws {
        let token = try Forge.token(of: sample)
        let sound = try Forge.signature(of: token)
        for signature in [
            [], Array(sound.dropLast()), Array(sound.dropFirst()), sound + [0], [0] + sound, sound + sound,
        ] {
            expectInvalid(signature, of: token, sample)
        }
        try JWS(compact: Forge.token(token, signature: sound)).verify(with: JWK(sample.publicKey))
    }

    @Test("of one repeated byte", arguments: SampleKey.all, [0, 1, 0x7F, 0xFF] as [UInt8])
    func uniform(_ sample: SampleKey, _ byte: UInt8) throws {
        let token = try Forge.token(of: sample)
        expectInvalid([UInt8](repeating: byte, count: try Forge.signature(of: token).count), of: token, sample)
    }

    @Test("with r or s zero or not below the order", arguments: SampleKey.elliptic)
    func range(_ sample: SampleKey) throws {
        let curve = sample.algorithm.curve!
        let token = try Forge.token(of: sample)
        let sound = try Forge.signature(of: token)
        let (r, s) = (Array(sound.prefix(curve.coordinateSize)), Array(sound.suffix(curve.coordinateSize)))
        let order = hex(Self.orders[curve.name]!)
        let zero = [UInt8](repeating: 0, count: curve.coordinateSize)
        var beyond = order
        beyond[order.count - 1] += 1
        for bad in [zero, order, beyond] {
            expectInvalid(bad + s, of: token, sample)
            expectInvalid(r + bad, of: token, sample)
            expectInvalid(bad + bad, of: token, sample)
        }
        expectInvalid(s + r, of: token, sample)
    }

    @Test("in DER in place of r and s", arguments: SampleKey.elliptic)
    func der(_ sample: SampleKey) throws {
        let token = try Forge.token(of: sample)
        let signature = try Forge.signature(of: token)
        let size = sample.algorithm.curve!.coordinateSize
        expectInvalid(
            try ECDSASignature.der(fromConcatenated: signature, coordinateSize: size), of: token, sample)
    }

    @Test("of another message", arguments: Algorithm.table)
    func message(_ algorithm: Algorithm) throws {
        let sample = SampleKey.serving(algorithm)
        let signature = try sample.privateKey.signature(of: [1], algorithm: algorithm)
        #expect(try sample.publicKey.isValidSignature(signature, of: [1], algorithm: algorithm))
        for message in [[], [2], [1, 1], [0, 1]] as [[UInt8]] {
            #expect(try !sample.publicKey.isValidSignature(signature, of: message, algorithm: algorithm))
        }
    }

    @Test("of another algorithm of the same key", arguments: Algorithm.table.filter { $0.keyType == .rsa })
    func otherAlgorithm(_ algorithm: Algorithm) throws {
        let sample = SampleKey.rsa
        let signature = try sample.privateKey.signature(of: [1], algorithm: algorithm)
        for other in Algorithm.table where other.keyType == .rsa && other != algorithm {
            #expect(try !sample.publicKey.isValidSignature(signature, of: [1], algorithm: other))
        }
    }

    @Test("for an algorithm of another kind of key", arguments: SampleKey.all)
    func otherKind(_ sample: SampleKey) {
        for algorithm in Algorithm.table where !sample.publicKey.parameters.algorithms.contains(algorithm) {
            #expect(throws: JOSEError.of(.unsupported)) {
                try sample.privateKey.signature(of: [1], algorithm: algorithm)
            }
            #expect(throws: JOSEError.of(.unsupported)) {
                try sample.publicKey.isValidSignature([1], of: [1], algorithm: algorithm)
            }
        }
    }

    @Test("and the next sound one accepted all the same", arguments: SampleKey.all)
    func afterFailure(_ sample: SampleKey) throws {
        let key = sample.publicKey
        let signature = try sample.privateKey.signature(of: [1], algorithm: sample.algorithm)
        for _ in 0..<3 {
            #expect(try !key.isValidSignature(signature.reversed(), of: [1], algorithm: sample.algorithm))
            #expect(try !key.isValidSignature([], of: [1], algorithm: sample.algorithm))
            #expect(try key.isValidSignature(signature, of: [1], algorithm: sample.algorithm))
        }
    }
}
