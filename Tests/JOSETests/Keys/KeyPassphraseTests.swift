import Testing

@testable import JOSE

@Suite("An encrypted key")
struct KeyPassphraseTests {
    @Test(
        "isn't opened by another passphrase", arguments: SampleKey.all,
        ["wrong", "", "correct horse ", "Correct horse"])
    func wrong(_ sample: SampleKey, _ passphrase: String) throws {
        let pem = try sample.privateKey.pkcs8PEM(passphrase: "correct horse")
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem, passphrase: passphrase) }
    }

    @Test("isn't opened without one, and nobody is asked", arguments: SampleKey.all)
    func missing(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM(passphrase: "correct horse")
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem) }
    }

    @Test(
        "takes a passphrase of any bytes and a great length",
        arguments: ["pässwörd 🔑", "a\0b", String(repeating: "x", count: 1024)])
    func unusual(_ passphrase: String) throws {
        let pem = try SampleKey.p256.privateKey.pkcs8PEM(passphrase: passphrase)
        #expect(try PrivateKey(pem: pem, passphrase: passphrase).publicKey == SampleKey.p256.publicKey)
        #expect(throws: JOSEError.of(.wrongPassphrase)) {
            try PrivateKey(pem: pem, passphrase: String(passphrase.dropLast()))
        }
    }

    @Test(
        "isn't written under an empty passphrase, or a longer one than is read", .timeLimit(.minutes(1)),
        arguments: [0, 1025])
    func length(_ count: Int) throws {
        let passphrase = String(repeating: "x", count: count)
        #expect(throws: JOSEError.of(.wrongPassphrase)) {
            try SampleKey.p256.privateKey.pkcs8PEM(passphrase: passphrase)
        }
    }

    @Test("isn't opened by a passphrase of which only the beginning is right")
    func excess() throws {
        let passphrase = String(repeating: "x", count: 1024)
        let pem = try SampleKey.p256.privateKey.pkcs8PEM(passphrase: passphrase)
        #expect(throws: JOSEError.of(.wrongPassphrase)) { try PrivateKey(pem: pem, passphrase: passphrase + "x") }
    }

    @Test("that isn't encrypted is read whatever passphrase comes with it")
    func needless() throws {
        let pem = try SampleKey.p256.privateKey.pkcs8PEM()
        #expect(try PrivateKey(pem: pem, passphrase: "needless").publicKey == SampleKey.p256.publicKey)
    }

    @Test("never names its passphrase in an error")
    func silence() throws {
        let pem = try SampleKey.p256.privateKey.pkcs8PEM(passphrase: "correct horse")
        let error = #expect(throws: JOSEError.self) { try PrivateKey(pem: pem, passphrase: "battery staple") }
        #expect(error?.description.contains("battery") == false)
    }

    @Test("is malformed where its text is cut, not wrongly opened")
    func cut() throws {
        let pem = try SampleKey.p256.privateKey.pkcs8PEM(passphrase: "correct horse")
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: String(pem.prefix(200)), passphrase: "x") }
    }
}
