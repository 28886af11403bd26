import Testing

@testable import JOSE

/// None of these waits for anything, so that each stays on one thread: the queue is the thread's.
@Suite("OpenSSL's error queue is empty")
struct ErrorQueueTests {
    private func expectEmpty(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) {
        _ = OpenSSLErrorQueue.drain()
        try? body()
        #expect(OpenSSLErrorQueue.drain() == [], "\(what)", sourceLocation: sourceLocation)
    }

    @Test("after a signature is refused", arguments: Algorithm.table)
    func signatures(_ algorithm: Algorithm) throws {
        let sample = SampleKey.serving(algorithm)
        let sound = try sample.privateKey.signature(of: [1], algorithm: algorithm)
        for signature in [[], sound.reversed(), [UInt8](repeating: 0xFF, count: sound.count), sound + [1]] {
            expectEmpty("signature") {
                _ = try sample.publicKey.isValidSignature(signature, of: [1], algorithm: algorithm)
            }
        }
    }

    @Test("after a PEM text is refused", arguments: RefusedKeyTests.weak + RefusedKeyTests.foreign)
    func refusedKeys(_ name: String) throws {
        let pair = try Vector.text("RefusedKeys/\(name)-private.pem")
        let half = try Vector.text("RefusedKeys/\(name)-public.pem")
        expectEmpty("private") { _ = try PrivateKey(pem: pair) }
        expectEmpty("public") { _ = try PublicKey(pem: half) }
        expectEmpty("mixed") { _ = try PrivateKey(pem: half) }
    }

    @Test("after garbage", arguments: ["", "x", "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n"])
    func garbage(_ text: String) {
        expectEmpty("private") { _ = try PrivateKey(pem: text, passphrase: "x") }
        expectEmpty("public") { _ = try PublicKey(pem: text) }
    }

    @Test("after a wrong or missing passphrase", arguments: SampleKey.all)
    func passphrases(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM(passphrase: "right")
        for passphrase in [nil, "", "wrong"] {
            expectEmpty("") { _ = try PrivateKey(pem: pem, passphrase: passphrase) }
        }
    }

    @Test("after a damaged JWK", arguments: SampleKey.all)
    func damagedJWKs(_ sample: SampleKey) throws {
        let members = try sample.privateMembers()
        for name in members.members.map(\.name) {
            let other = try JWK(sample.other).privateMembers()[name]
            expectEmpty(name) { _ = try JWK(members: members.with([name: other])) }
            expectEmpty(name) { _ = try JWK(members: members.with([name: "AAAA"])) }
        }
        expectEmpty("zeros") {
            _ = try JWK(members: members.with(["x": members["y"], "y": members["x"]]))
        }
    }

    @Test("after keys of two kinds were compared")
    func comparison() {
        expectEmpty("kinds") { _ = SampleKey.rsa.publicKey == SampleKey.p256.publicKey }
        expectEmpty("curves") { _ = SampleKey.p384.publicKey == SampleKey.p256.publicKey }
        expectEmpty("keys") { _ = SampleKey.p256.other.publicKey == SampleKey.p256.publicKey }
    }

    @Test("after what failed elsewhere")
    func elsewhere() {
        expectEmpty("HKDF") { _ = try HKDF.key(from: SecretBytes([1]), info: "", count: 100_000) }
        expectEmpty("DER") { _ = try ECDSASignature.concatenated(fromDER: [1, 2, 3], coordinateSize: 32) }
        expectEmpty("size") {
            _ = try ECDSASignature.concatenated(fromDER: hex("3006020101020101")[...], coordinateSize: 0)
        }
        expectEmpty("Ed25519") { _ = try SampleKey.ed25519.privateKey.traditionalPEM() }
    }

    @Test("after what succeeded", arguments: SampleKey.all)
    func successes(_ sample: SampleKey) throws {
        expectEmpty("generate") { _ = try PrivateKey.generate(for: sample.algorithm) }
        expectEmpty("PKCS#8") { _ = try PrivateKey(pem: try sample.privateKey.pkcs8PEM()) }
        expectEmpty("encrypted") {
            _ = try PrivateKey(pem: try sample.privateKey.pkcs8PEM(passphrase: "x"), passphrase: "x")
        }
        expectEmpty("SPKI") { _ = try PublicKey(pem: try sample.publicKey.pem()) }
        expectEmpty("JWK") { _ = try JWK(members: try sample.privateMembers()) }
        expectEmpty("token") { try JWS(compact: try Forge.token(of: sample)).verify(with: JWK(sample.publicKey)) }
        expectEmpty("hashes") {
            _ = try HMACSHA256.authenticationCode(
                for: try SHA256.hash([1]), key: HKDF.key(from: SecretBytes([1]), info: ""))
        }
    }

    @Test("though the error that was thrown tells what OpenSSL said")
    func reasons() throws {
        let members = try SampleKey.p256.publicMembers()
        let error = #expect(throws: JOSEError.self) {
            try JWK(members: members.with(["x": members["y"], "y": members["x"]]))
        }
        #expect(error?.reason.contains("EVP_PKEY_fromdata failed: ") == true)
    }
}
