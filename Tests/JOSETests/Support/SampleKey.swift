import Testing

@testable import JOSE

/// One kind of key, with a pair that all tests share: a new RSA key takes its time.
struct SampleKey: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let algorithm: Algorithm
    let privateKey: PrivateKey
    /// Another pair of the same kind.
    let other: PrivateKey

    var publicKey: PublicKey { privateKey.publicKey }

    private init(_ name: String, _ algorithm: Algorithm) {
        testDescription = name
        self.algorithm = algorithm
        privateKey = try! PrivateKey.generate(for: algorithm)
        other = try! PrivateKey.generate(for: algorithm)
    }

    static let rsa = SampleKey("RSA", .rs256)
    static let p256 = SampleKey("P-256", .es256)
    static let p384 = SampleKey("P-384", .es384)
    static let p521 = SampleKey("P-521", .es512)
    static let ed25519 = SampleKey("Ed25519", .edDSA)

    static let elliptic = [p256, p384, p521]
    /// The kinds that have a form of their own besides PKCS#8.
    static let traditional = [rsa] + elliptic
    static let all = traditional + [ed25519]

    /// The pair that serves an algorithm.
    static func serving(_ algorithm: Algorithm) -> SampleKey {
        all.first { $0.publicKey.parameters.algorithms.contains(algorithm) }!
    }

    func privateMembers() throws -> JSONObject { try JWK(privateKey).privateMembers() }
    func publicMembers() throws -> JSONObject { try JWK(publicKey).publicMembers() }
}
