import Testing

@testable import JOSE

@Suite("A JWK is refused")
struct RefusedJWKTests {
    private func expect(
        _ code: JOSEError.Code, _ members: JSONObject, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(throws: JOSEError.of(code), sourceLocation: sourceLocation) { try JWK(members: members) }
    }

    @Test("for a member of another type", arguments: SampleKey.all, ["kty", "kid", "alg", "use", "key_ops"])
    func types(_ sample: SampleKey, _ name: String) throws {
        for value in [.null, 5, true, [], [:], [1]] as [JSONValue] where !(name == "key_ops" && value == []) {
            expect(.malformed, try sample.publicMembers().with([name: value]))
        }
    }

    @Test("without a member of its kind", arguments: SampleKey.all)
    func missing(_ sample: SampleKey) throws {
        let members = try sample.publicMembers()
        for name in members.members.map(\.name) where name != "use" {
            expect(.malformed, members.with([name: nil]))
        }
    }

    @Test("with an RSA private half that is incomplete", arguments: ["p", "q", "dp", "dq", "qi"])
    func incompleteRSA(_ name: String) throws {
        expect(.malformed, try SampleKey.rsa.privateMembers().with([name: nil]))
    }

    @Test("with an RSA private half that doesn't fit", arguments: ["d", "p", "q", "dp", "dq", "qi"])
    func inconsistentRSA(_ name: String) throws {
        let own = try SampleKey.rsa.privateMembers()
        expect(.keyRefused, own.with([name: try JWK(SampleKey.rsa.other).privateMembers()[name]]))
    }

    @Test("with halves of two keys", arguments: SampleKey.all)
    func mismatchedHalves(_ sample: SampleKey) throws {
        let other = try JWK(sample.other).publicMembers()
        expect(.keyRefused, try sample.privateMembers().with(["n": other["n"], "x": other["x"], "y": other["y"]]))
    }

    @Test("with a private number out of range", arguments: SampleKey.elliptic)
    func privateRange(_ sample: SampleKey) throws {
        let size = sample.algorithm.curve!.coordinateSize
        for byte in [UInt8(0), 0xFF] {
            let scalar = Base64URL.encode([UInt8](repeating: byte, count: size))
            expect(.keyRefused, try sample.privateMembers().with(["d": .string(scalar)]))
        }
    }

    @Test("for more than two primes")
    func otherPrimes() throws {
        expect(.unsupported, try SampleKey.rsa.privateMembers().with(["oth": []]))
    }

    @Test("for a weak RSA key", arguments: ["rsa-1024", "rsa-exponent-3"])
    func weak(_ name: String) throws {
        let key = try EVPKey.publicKey(pem: try Vector.text("RefusedKeys/\(name)-public.pem"))
        let (n, e) = (Base64URL.encode(try key.number("n")), Base64URL.encode(try key.number("e")))
        expect(.keyRefused, ["kty": "RSA", "n": .string(n), "e": .string(e)])
    }

    @Test(
        "for a public exponent that isn't odd, from 65537 and of 64 bits",
        arguments: ["AA", "AQ", "Aw", "AQAA", "_____________w", "AQAAAAAAAAAB"])
    func exponent(_ text: String) throws {
        let error = #expect(throws: JOSEError.self) {
            try JWK(members: try SampleKey.rsa.publicMembers().with(["e": .string(text)]))
        }
        #expect(error?.code == .keyRefused || error?.code == .malformed)
    }

    @Test("for an RSA modulus that is even, or has a small factor")
    func modulus() throws {
        var modulus = try SampleKey.rsa.publicKey.key.number("n")
        modulus[modulus.count - 1] &= 0xFE
        expect(.keyRefused, ["kty": "RSA", "e": "AQAB", "n": .string(Base64URL.encode(modulus))])
        let ones = Base64URL.encode([UInt8](repeating: 0xFF, count: 256))
        expect(.keyRefused, ["kty": "RSA", "e": "AQAB", "n": .string(ones)])
    }

    @Test("for an RSA number with a zero ahead", arguments: ["n", "e"] as [StaticString])
    func leadingZero(_ name: StaticString) throws {
        let number = try SampleKey.rsa.publicKey.key.number(name)
        expect(.malformed, try SampleKey.rsa.publicMembers().with(["\(name)": .string(Base64URL.encode([0] + number))]))
    }

    @Test("for an RSA modulus over 8192 bits")
    func largeModulus() throws {
        let modulus = Base64URL.encode([UInt8](repeating: 0xFF, count: 1025))
        expect(.malformed, try SampleKey.rsa.publicMembers().with(["n": .string(modulus)]))
    }

    @Test("for a coordinate of another length", arguments: SampleKey.elliptic, ["x", "y", "d"])
    func coordinateLength(_ sample: SampleKey, _ name: String) throws {
        let members = try sample.privateMembers()
        let number = try Base64URL.decode(try #require(members[name]?.string))
        for changed in [[0] + number, number + [0], Array(number.dropFirst()), Array(number.dropLast()), []] {
            expect(.malformed, members.with([name: .string(Base64URL.encode(changed))]))
        }
    }

    @Test("for an Ed25519 half of another length", arguments: ["x", "d"])
    func octetLength(_ name: String) throws {
        for count in [0, 31, 33, 64] {
            let octets = Base64URL.encode([UInt8](repeating: 9, count: count))
            expect(.malformed, try SampleKey.ed25519.privateMembers().with([name: .string(octets)]))
        }
    }

    @Test("for a point that isn't on the curve", arguments: SampleKey.elliptic)
    func pointOffCurve(_ sample: SampleKey) throws {
        let members = try sample.publicMembers()
        expect(.keyRefused, members.with(["x": members["y"], "y": members["x"]]))
        let zero = Base64URL.encode([UInt8](repeating: 0, count: sample.algorithm.curve!.coordinateSize))
        expect(.keyRefused, members.with(["x": .string(zero), "y": .string(zero)]))
    }

    @Test("for a number that isn't strict base64url", arguments: ["AQAB=", "AQ AB", "AQ+B", "AQAB\n", "AR"])
    func spelling(_ text: String) throws {
        expect(.malformed, try SampleKey.rsa.publicMembers().with(["e": .string(text)]))
    }

    @Test("for a kty that doesn't sign", arguments: ["oct", "rsa", "ec", "AKP", ""])
    func keyType(_ type: String) throws {
        expect(.unsupported, try SampleKey.p256.publicMembers().with(["kty": .string(type), "k": "AAAA"]))
    }

    @Test(
        "for a curve that isn't in the table", arguments: ["secp256k1", "P-224", "p-256", "prime256v1", "Ed25519", ""])
    func curve(_ name: String) throws {
        expect(.unsupported, try SampleKey.p256.publicMembers().with(["crv": .string(name)]))
    }

    @Test("for an octet key pair that doesn't sign here", arguments: ["X25519", "Ed448", "X448", "ed25519", "P-256"])
    func octetCurve(_ name: String) throws {
        expect(.unsupported, try SampleKey.ed25519.publicMembers().with(["crv": .string(name)]))
    }

    @Test("for another use than signatures", arguments: ["enc", "SIG", "", "sig "])
    func use(_ use: String) throws {
        expect(.keyRefused, try SampleKey.p256.publicMembers().with(["use": .string(use)]))
    }

    @Test("for key_ops without signatures", arguments: [[], ["sign"], ["encrypt"], ["Verify"]])
    func operations(_ operations: [String]) throws {
        let value = JSONValue.array(operations.map { .string($0) })
        expect(.keyRefused, try SampleKey.p256.publicMembers().with(["key_ops": value]))
    }

    @Test("for a private half that may only wrap", arguments: SampleKey.all)
    func privateOperations(_ sample: SampleKey) throws {
        expect(.keyRefused, try sample.privateMembers().with(["key_ops": ["decrypt", "unwrapKey"]]))
    }

    @Test("for key_ops that repeat")
    func repeatedOperations() throws {
        expect(.malformed, try SampleKey.p256.publicMembers().with(["key_ops": ["verify", "verify"]]))
    }

    @Test("for an alg of another kind", arguments: SampleKey.all)
    func algorithm(_ sample: SampleKey) throws {
        for row in Algorithm.table where !sample.publicKey.parameters.algorithms.contains(row) {
            expect(.keyRefused, try sample.publicMembers().with(["alg": .string(row.name)]))
        }
    }

    @Test("for an alg that isn't in the table", arguments: ["HS256", "none", "RSA-OAEP", "es256", "ES256K", ""])
    func unknownAlgorithm(_ name: String) throws {
        expect(.unsupported, try SampleKey.p256.publicMembers().with(["alg": .string(name)]))
    }

    @Test(
        "for a kid that is empty, too long or with control characters",
        arguments: ["", "\u{1}", String(repeating: "k", count: 257)])
    func keyID(_ text: String) throws {
        expect(.malformed, try SampleKey.p256.publicMembers().with(["kid": .string(text)]))
    }

    @Test("as text that isn't an object, repeats a member, or is over 64 KiB")
    func text() throws {
        let filler = String(repeating: " ", count: maximumKeyFileSize)
        for text in ["", "[]", "null", "\"RSA\"", #"{"kty":"RSA","kty":"RSA"}"#, filler + "{}"] {
            #expect(throws: JOSEError.of(.malformed)) { try JWK(json: bytes(text)) }
        }
    }
}
