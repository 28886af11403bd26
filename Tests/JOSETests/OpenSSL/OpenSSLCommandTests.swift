import Foundation
import Testing

@testable import JOSE

@Suite("The openssl command", .timeLimit(.minutes(5)))
struct OpenSSLCommandTests {
    /// How the command is told to make a key of each kind.
    static let recipes: [String: [String]] = [
        "RSA": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "P-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "P-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "Ed25519": ["-algorithm", "ED25519"],
    ]

    @Test("reads the keys that we write", arguments: SampleKey.all)
    func readsOurs(_ sample: SampleKey) throws {
        let plain = try sample.privateKey.pkcs8PEM()
        let encrypted = try sample.privateKey.pkcs8PEM(passphrase: "secret")
        let half = try sample.publicKey.pem()
        #expect(try OpenSSLCommand.text(["pkey", "-pubout"], input: plain) == half)
        #expect(try OpenSSLCommand.text(["pkey", "-pubout", "-passin", "pass:secret"], input: encrypted) == half)
        #expect(try OpenSSLCommand.text(["pkey", "-pubin", "-pubout"], input: half) == half)
        _ = try OpenSSLCommand.text(["pkey", "-check", "-noout"], input: plain)
    }

    @Test("reads our PKCS#1 and SEC1", arguments: SampleKey.traditional)
    func readsTraditional(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.traditionalPEM()
        #expect(try OpenSSLCommand.text(["pkey", "-pubout"], input: pem) == sample.publicKey.pem())
    }

    @Test("doesn't open our encrypted keys with another passphrase")
    func wrongPassphrase() throws {
        let encrypted = try SampleKey.p256.privateKey.pkcs8PEM(passphrase: "secret")
        #expect(throws: OpenSSLCommand.Failure.self) {
            try OpenSSLCommand.text(["pkey", "-noout", "-passin", "pass:other"], input: encrypted)
        }
    }

    @Test("writes keys that we read", arguments: recipes.keys.sorted())
    func writesKeys(_ kind: String) throws {
        let pem = try OpenSSLCommand.text(["genpkey"] + Self.recipes[kind]!)
        let half = try PublicKey(pem: try OpenSSLCommand.text(["pkey", "-pubout"], input: pem))
        #expect(try PrivateKey(pem: pem).publicKey == half)
        let encrypted = try OpenSSLCommand.text(["pkcs8", "-topk8", "-passout", "pass:secret"], input: pem)
        #expect(try PrivateKey(pem: encrypted, passphrase: "secret").publicKey == half)
    }

    @Test(
        "writes encrypted keys in other ways that we read",
        arguments: [["-scrypt"], ["-iter", "10"], ["-v2", "aes128"]])
    func writesEncrypted(_ options: [String]) throws {
        let plain = try SampleKey.p256.privateKey.pkcs8PEM()
        let pem = try OpenSSLCommand.text(["pkcs8", "-topk8", "-passout", "pass:secret"] + options, input: plain)
        #expect(try PrivateKey(pem: pem, passphrase: "secret").publicKey == SampleKey.p256.publicKey)
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem, passphrase: "other") }
    }

    @Test("writes PKCS#1 for an RSA key, private and public")
    func writesPKCS1() throws {
        let sample = SampleKey.rsa
        let pem = try OpenSSLCommand.text(["rsa", "-traditional"], input: sample.privateKey.pkcs8PEM())
        #expect(pem.contains("BEGIN RSA PRIVATE KEY"))
        #expect(try PrivateKey(pem: pem).publicKey == sample.publicKey)
        let half = try OpenSSLCommand.text(["rsa", "-RSAPublicKey_out"], input: sample.privateKey.pkcs8PEM())
        #expect(half.contains("BEGIN RSA PUBLIC KEY"))
        #expect(try PublicKey(pem: half) == sample.publicKey)
    }

    @Test("writes SEC1 with the curve's parameters ahead", arguments: ["prime256v1", "secp384r1", "secp521r1"])
    func writesSEC1(_ curve: String) throws {
        let pem = try OpenSSLCommand.text(["ecparam", "-name", curve, "-genkey"])
        #expect(pem.contains("BEGIN EC PARAMETERS"))
        let half = try PublicKey(pem: try OpenSSLCommand.text(["ec", "-pubout"], input: pem))
        #expect(try PrivateKey(pem: pem).publicKey == half)
    }

    @Test("writes old encrypted SEC1 that we read, with its passphrase only")
    func writesEncryptedSEC1() throws {
        let plain = try SampleKey.p256.privateKey.pkcs8PEM()
        let pem = try OpenSSLCommand.text(["ec", "-aes256", "-passout", "pass:secret"], input: plain)
        #expect(pem.contains("Proc-Type: 4,ENCRYPTED"))
        #expect(try PrivateKey(pem: pem, passphrase: "secret").publicKey == SampleKey.p256.publicKey)
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem, passphrase: "other") }
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem) }
    }

    @Test("writes compressed points that we read")
    func writesCompressed() throws {
        let plain = try SampleKey.p256.privateKey.pkcs8PEM()
        let pem = try OpenSSLCommand.text(["ec", "-pubout", "-conv_form", "compressed"], input: plain)
        let key = try PublicKey(pem: pem)
        #expect(key == SampleKey.p256.publicKey)
        #expect(try key.thumbprint() == SampleKey.p256.publicKey.thumbprint())
    }
}
