import Foundation
import Testing

@testable import JOSE

@Suite("A signature between us and the openssl command", .timeLimit(.minutes(5)))
struct OpenSSLSignatureTests {
    static let message = bytes("header.payload")
    static let hashed = Algorithm.table.filter { $0.digest != nil }

    @Test("of ours is verified by it", arguments: hashed)
    func ours(_ algorithm: Algorithm) throws {
        let sample = SampleKey.serving(algorithm)
        var signature = try sample.privateKey.signature(of: Self.message, algorithm: algorithm)
        if let curve = algorithm.curve {
            signature = try ECDSASignature.der(fromConcatenated: signature, coordinateSize: curve.coordinateSize)
        }
        try OpenSSLCommand.withFolder { folder in
            let (key, file) = (folder.appending(path: "key.pem"), folder.appending(path: "signature"))
            try Data(try sample.publicKey.pem().utf8).write(to: key)
            try Data(signature).write(to: file)
            try OpenSSLCommand.run(
                ["dgst", "-verify", key.path(), "-signature", file.path()] + options(algorithm, saltLength: "digest"),
                input: Self.message)
        }
    }

    @Test("of its is verified by us", arguments: hashed)
    func its(_ algorithm: Algorithm) throws {
        var signature = try sign(algorithm, saltLength: "digest")
        if let curve = algorithm.curve {
            signature = try ECDSASignature.concatenated(fromDER: signature[...], coordinateSize: curve.coordinateSize)
        }
        let key = SampleKey.serving(algorithm).publicKey
        #expect(try key.isValidSignature(signature, of: Self.message, algorithm: algorithm))
    }

    @Test("by PSS is refused with a salt of another length than the hash's", arguments: ["0", "20", "max"])
    func saltLength(_ length: String) throws {
        let signature = try sign(.ps256, saltLength: length)
        #expect(try !SampleKey.rsa.publicKey.isValidSignature(signature, of: Self.message, algorithm: .ps256))
    }

    @Test("by PSS is refused with another hash in its mask")
    func maskHash() throws {
        let signature = try sign(.ps256, saltLength: "digest", ["-sigopt", "rsa_mgf1_md:sha1"])
        #expect(try !SampleKey.rsa.publicKey.isValidSignature(signature, of: Self.message, algorithm: .ps256))
    }

    private func sign(_ algorithm: Algorithm, saltLength: String, _ more: [String] = []) throws -> [UInt8] {
        try OpenSSLCommand.withFolder { folder in
            let key = folder.appending(path: "key.pem")
            try Data(try SampleKey.serving(algorithm).privateKey.pkcs8PEM().utf8).write(to: key)
            return try OpenSSLCommand.run(
                ["dgst", "-sign", key.path()] + options(algorithm, saltLength: saltLength) + more, input: Self.message)
        }
    }

    private func options(_ algorithm: Algorithm, saltLength: String) -> [String] {
        let hash = "-sha\(algorithm.name.suffix(3))"
        guard algorithm.padding == .pss else { return [hash] }
        return [hash, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:\(saltLength)"]
    }
}
