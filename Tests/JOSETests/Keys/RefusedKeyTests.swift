import Testing

@testable import JOSE

@Suite("A PEM text is refused")
struct RefusedKeyTests {
    static let weak = ["rsa-1024", "rsa-exponent-3"]
    static let foreign = ["secp256k1", "p224", "p256-explicit", "rsa-pss", "dsa", "x25519", "ed448"]

    @Test("for a weak key", arguments: weak)
    func weakKey(_ name: String) throws {
        let pair = try Vector.text("RefusedKeys/\(name)-private.pem")
        #expect(throws: JOSEError.of(.keyRefused)) { try PrivateKey(pem: pair) }
        let half = try Vector.text("RefusedKeys/\(name)-public.pem")
        #expect(throws: JOSEError.of(.keyRefused)) { try PublicKey(pem: half) }
    }

    @Test("for a key of a kind that no algorithm here has", arguments: foreign)
    func foreignKey(_ name: String) throws {
        let pair = try Vector.text("RefusedKeys/\(name)-private.pem")
        #expect(throws: JOSEError.of(.unsupported)) { try PrivateKey(pem: pair) }
        let half = try Vector.text("RefusedKeys/\(name)-public.pem")
        #expect(throws: JOSEError.of(.unsupported)) { try PublicKey(pem: half) }
    }

    @Test("that isn't a key's", arguments: ["certificate", "request"])
    func notAKey(_ name: String) throws {
        let pem = try Vector.text("RefusedKeys/\(name).pem")
        #expect(throws: JOSEError.of(.malformed)) { try PublicKey(pem: pem) }
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: pem) }
    }

    @Test(
        "of garbage",
        arguments: [
            "", "garbage", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\nMAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
            "{\"kty\":\"EC\"}", "\0\0\0",
        ])
    func garbage(_ text: String) {
        #expect(throws: JOSEError.of(.malformed)) { try PublicKey(pem: text) }
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: text) }
    }

    @Test("for a public key where a private one is due", arguments: SampleKey.all)
    func publicForPrivate(_ sample: SampleKey) throws {
        let pem = try sample.publicKey.pem()
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: pem) }
    }

    @Test("for a private key where a public one is due", arguments: SampleKey.all)
    func privateForPublic(_ sample: SampleKey) throws {
        let pem = try sample.privateKey.pkcs8PEM()
        #expect(throws: JOSEError.of(.malformed)) { try PublicKey(pem: pem) }
    }

    @Test("over 64 KiB, and read just below")
    func size() throws {
        let pem = try SampleKey.p256.publicKey.pem()
        let room = maximumKeyFileSize - pem.utf8.count
        #expect(try PublicKey(pem: filler(room) + pem) == SampleKey.p256.publicKey)
        #expect(throws: JOSEError.of(.malformed)) { try PublicKey(pem: filler(room + 1) + pem) }
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: filler(maximumKeyFileSize + 1)) }
    }

    private func filler(_ count: Int) -> String { String(repeating: "#", count: count - 1) + "\n" }

    @Test("cut short", arguments: SampleKey.all)
    func cutShort(_ sample: SampleKey) throws {
        var pem = PEMText(try sample.privateKey.pkcs8PEM())
        pem.content.removeLast()
        #expect(throws: JOSEError.of(.malformed)) { try PrivateKey(pem: pem.text) }
    }

    @Test("for a public point that isn't on the curve", arguments: SampleKey.elliptic)
    func pointOffCurve(_ sample: SampleKey) throws {
        var pem = PEMText(try sample.publicKey.pem())
        pem.content[pem.content.count - 1] ^= 1
        let error = #expect(throws: JOSEError.self) { try PublicKey(pem: pem.text) }
        #expect(error?.code == .malformed || error?.code == .keyRefused)
    }

    @Test("for the point at infinity", arguments: SampleKey.elliptic)
    func infinity(_ sample: SampleKey) throws {
        var pem = PEMText(try sample.publicKey.pem())
        let point = 1 + 2 * sample.algorithm.curve!.coordinateSize
        pem.content.removeLast(point - 1)
        pem.content[pem.content.count - 1] = 0
        // The lengths of the bit string and of what is round it.
        let bitString = pem.content.count - 1 - (point + 1 > 127 ? 4 : 3)
        pem.content[bitString...] = [3, 2, 0, 0]
        pem.content.replaceSubrange(..<(pem.content[1] > 127 ? 3 : 2), with: [])
        pem.content = [0x30, UInt8(pem.content.count)] + pem.content
        let error = #expect(throws: JOSEError.self) { try PublicKey(pem: pem.text) }
        #expect(error?.code == .malformed || error?.code == .keyRefused)
    }

    @Test("for halves of different elliptic curve keys", arguments: SampleKey.elliptic)
    func mismatchedHalves(_ sample: SampleKey) throws {
        let size = sample.algorithm.curve!.coordinateSize
        func point(_ key: PrivateKey) throws -> [UInt8] {
            try key.publicKey.key.number("qx", count: size) + key.publicKey.key.number("qy", count: size)
        }
        for form in [try sample.privateKey.traditionalPEM(), try sample.privateKey.pkcs8PEM()] {
            let pem = PEMText(form).replacing(try point(sample.privateKey), with: try point(sample.other))
            #expect(throws: JOSEError.of(.keyRefused)) { try PrivateKey(pem: pem) }
        }
    }

    @Test(
        "for an RSA key whose numbers don't fit",
        arguments: ["d", "rsa-factor1", "rsa-exponent1", "rsa-coefficient1"] as [StaticString])
    func inconsistentRSA(_ name: StaticString) throws {
        let number = try SampleKey.rsa.privateKey.key.number(name)
        var changed = number
        changed[number.count / 2] ^= 0x10
        let pem = PEMText(try SampleKey.rsa.privateKey.traditionalPEM()).replacing(number, with: changed)
        #expect(throws: JOSEError.of(.keyRefused)) { try PrivateKey(pem: pem) }
    }
}
