import Testing

@testable import JOSE

@Suite("A JWK")
struct JWKTests {
    @Test("comes back with both halves", arguments: SampleKey.all)
    func privateRoundTrip(_ sample: SampleKey) throws {
        let keyID = try sample.publicKey.thumbprint()
        let members = try JWK(sample.privateKey, keyID: keyID, algorithm: sample.algorithm).privateMembers()
        let key = try JWK(json: members.json)
        #expect(key.keyID == keyID)
        #expect(key.algorithm == sample.algorithm)
        #expect(key.publicKey == sample.publicKey)
        let signature = try #require(key.privateKey).signature(of: [7], algorithm: sample.algorithm)
        #expect(try sample.publicKey.isValidSignature(signature, of: [7], algorithm: sample.algorithm))
        #expect(try key.privateMembers() == members)
    }

    @Test("comes back with its public half", arguments: SampleKey.all)
    func publicRoundTrip(_ sample: SampleKey) throws {
        let key = try JWK(json: try JWK(sample.privateKey, algorithm: sample.algorithm).publicMembers().json)
        #expect(key.privateKey == nil)
        #expect(key.publicKey == sample.publicKey)
    }

    @Test("shows none of the private members among the public ones", arguments: SampleKey.all)
    func publicMembers(_ sample: SampleKey) throws {
        let names = Set(try JWK(sample.privateKey).publicMembers().members.map(\.name))
        #expect(names.isSubset(of: ["kty", "n", "e", "crv", "x", "y", "use"]))
    }

    @Test("without a private half has no private members", arguments: SampleKey.all)
    func noPrivateMembers(_ sample: SampleKey) {
        #expect(throws: JOSEError.of(.keyRefused)) { try JWK(sample.publicKey).privateMembers() }
    }

    @Test("spells coordinates with leading zeros in full")
    func leadingZeros() throws {
        // One key in 128 has a leading zero in x or y: look for one.
        for _ in 0..<4000 {
            let key = try PrivateKey.generate(for: .es256)
            guard try key.key.number("qx").count < 32 || key.key.number("qy").count < 32 else { continue }
            let members = try JWK(key).privateMembers()
            for name in ["x", "y", "d"] { #expect(members[name]?.string?.count == 43, "\(name)") }
            #expect(try JWK(members: members).publicKey == key.publicKey)
            return
        }
        Issue.record("no key with a leading zero")
    }

    @Test("has one thumbprint, whatever else it says", arguments: SampleKey.all)
    func thumbprint(_ sample: SampleKey) throws {
        let plain = try sample.publicKey.thumbprint()
        let members = try sample.publicMembers().with(["kid": "other", "x5t": "abc", "nbf": 7])
        #expect(try JWK(members: members).publicKey.thumbprint() == plain)
        #expect(plain.rawValue.count == 43)
        #expect(try sample.other.publicKey.thumbprint() != plain)
    }

    @Test("may say what it is for", arguments: SampleKey.all)
    func purpose(_ sample: SampleKey) throws {
        let half = try sample.publicMembers()
        _ = try JWK(members: half.with(["use": "sig", "key_ops": ["verify"], "alg": .string(sample.algorithm.name)]))
        _ = try JWK(members: half.with(["use": nil, "key_ops": ["sign", "verify"]]))
        _ = try JWK(members: try sample.privateMembers().with(["use": nil, "key_ops": ["sign"]]))
    }

    @Test("with alg has that algorithm alone, without it all of its kind")
    func algorithms() {
        let key = SampleKey.rsa.publicKey
        #expect(JWK(key, algorithm: .ps256).algorithms == [.ps256])
        #expect(JWK(key).algorithms == [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512])
    }

    @Test("isn't misled by members of certificates and other kinds", arguments: SampleKey.all)
    func foreignMembers(_ sample: SampleKey) throws {
        let members = try sample.publicMembers().with(["x5c": ["AAAA"], "x5u": "https://example.com", "k": "AAAA"])
        #expect(try JWK(members: members).publicKey == sample.publicKey)
    }
}

@Suite("A kid")
struct KeyIDTests {
    @Test(
        "is 1 to 256 bytes", arguments: ["a", String(repeating: "x", count: 256), String(repeating: "é", count: 128)])
    func accepted(_ text: String) { #expect(KeyID(text)?.rawValue == text) }

    @Test(
        "isn't empty, longer, or with control characters",
        arguments: ["", String(repeating: "x", count: 257), String(repeating: "é", count: 129), "a\nb", "\0", "\u{85}"])
    func refused(_ text: String) { #expect(KeyID(text) == nil) }

    @Test("is another one where it is spelt in other code points (RFC 7515 section 5.3)")
    func spelling() {
        #expect(KeyID("caf\u{E9}") != KeyID("cafe\u{301}"))
        #expect(KeyID("\u{212A}") != KeyID("K"))
        #expect(Set([KeyID("caf\u{E9}"), KeyID("cafe\u{301}")]).count == 2)
        #expect(KeyID("a")! < KeyID("b")!)
    }

    @Test("a key type that only looks like one is none")
    func kelvinSign() throws {
        let key = try PrivateKey.generate(for: .edDSA).publicKey
        var members = try JWK(key).publicMembers()
        members["kty"] = "O\u{212A}P"
        #expect(throws: JOSEError.of(.unsupported)) { try JWK(members: members) }
    }
}
