import Testing

@testable import JOSE

@Suite("A key of every kind")
struct KeyFormatTests {
    @Test("comes back from plain PKCS#8", arguments: SampleKey.all)
    func plainPKCS8(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM()
        #expect(pem.hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        try expectSamePair(try PrivateKey(pem: pem), sample)
    }

    @Test("comes back from encrypted PKCS#8", arguments: SampleKey.all)
    func encryptedPKCS8(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM(passphrase: "correct horse")
        #expect(pem.hasPrefix("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"))
        try expectSamePair(try PrivateKey(pem: pem, passphrase: "correct horse"), sample)
    }

    @Test("comes back from what this house wrote, without being checked anew", arguments: SampleKey.all)
    func trustedPEM(_ sample: SampleKey) throws {
        let secret = SecretBytes(try randomBytes(32))
        let pem = try sample.privateKey.pkcs8PEM(passphrase: secret)
        try expectSamePair(try PrivateKey(trustedPEM: pem, passphrase: secret), sample)
    }

    @Test("comes back from PKCS#1 or SEC1", arguments: SampleKey.traditional)
    func traditional(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.traditionalPEM()
        let type = sample.publicKey.parameters.type.rawValue
        #expect(pem.hasPrefix("-----BEGIN \(type) PRIVATE KEY-----\n"))
        try expectSamePair(try PrivateKey(pem: pem), sample)
    }

    @Test("of Ed25519 has no traditional form")
    func noTraditionalForm() {
        #expect(throws: JOSEError.of(.unsupported)) { try SampleKey.ed25519.privateKey.traditionalPEM() }
    }

    @Test("gives its public half as SubjectPublicKeyInfo", arguments: SampleKey.all)
    func publicPEM(_ sample: SampleKey) throws {
        let pem = try sample.publicKey.pem()
        #expect(pem.hasPrefix("-----BEGIN PUBLIC KEY-----\n"))
        let key = try PublicKey(pem: pem)
        #expect(key == sample.publicKey)
        #expect(key.parameters == sample.publicKey.parameters)
    }

    @Test("is told from another of the kind", arguments: SampleKey.all)
    func inequality(_ sample: SampleKey) {
        #expect(sample.publicKey != sample.other.publicKey)
    }

    @Test("is told from one of another kind", arguments: SampleKey.elliptic)
    func inequalityOfKinds(_ sample: SampleKey) {
        #expect(sample.publicKey != SampleKey.rsa.publicKey)
    }

    @Test("is read where text stands ahead of it and behind it", arguments: SampleKey.all)
    func surroundingText(_ sample: SampleKey) throws {
        let note = "Bag Attributes\n    friendlyName: signing — ENCRYPTED elsewhere\n\n"
        #expect(try PublicKey(pem: note + sample.publicKey.pem() + note) == sample.publicKey)
        try expectSamePair(try PrivateKey(pem: note + sample.privateKey.pkcs8PEM() + note), sample)
    }

    @Test("is read with the line ends of Windows", arguments: SampleKey.all)
    func carriageReturns(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM()
        try expectSamePair(try PrivateKey(pem: pem.split(separator: "\n").joined(separator: "\r\n") + "\r\n"), sample)
    }

    @Test("is found behind a certificate or the parameters of its curve")
    func otherBlocksAhead() throws {
        let sample = SampleKey.p256
        let parameters = PEMText(label: "EC PARAMETERS", content: hex("06082a8648ce3d030107")).text
        try expectSamePair(try PrivateKey(pem: parameters + sample.privateKey.traditionalPEM()), sample)
        let certificate = try Vector.text("RefusedKeys/certificate.pem")
        try expectSamePair(try PrivateKey(pem: certificate + sample.privateKey.pkcs8PEM()), sample)
        #expect(try PublicKey(pem: certificate + sample.publicKey.pem()) == sample.publicKey)
    }

    @Test("serves the algorithms of its kind", arguments: Algorithm.table)
    func algorithms(_ algorithm: Algorithm) {
        let kinds = SampleKey.all.filter { $0.publicKey.parameters.algorithms.contains(algorithm) }
        #expect(kinds.count == 1)
    }

    @Test("is generated with as many bits as asked for", arguments: [2048, 3072])
    func rsaBits(_ bits: Int) throws {
        #expect(try PrivateKey.generate(for: .ps256, rsaBits: bits).publicKey.parameters == .rsa(bits: bits))
    }

    @Test("isn't generated weaker or larger than it is accepted", arguments: [0, 1024, 2047, 8193, -1])
    func refusedBits(_ bits: Int) {
        #expect(throws: JOSEError.of(.keyRefused)) { try PrivateKey.generate(for: .rs256, rsaBits: bits) }
    }

    private func expectSamePair(_ key: PrivateKey, _ sample: SampleKey) throws {
        #expect(key.publicKey == sample.publicKey)
        let signature = try key.signature(of: [1, 2, 3], algorithm: sample.algorithm)
        #expect(try sample.publicKey.isValidSignature(signature, of: [1, 2, 3], algorithm: sample.algorithm))
    }
}
