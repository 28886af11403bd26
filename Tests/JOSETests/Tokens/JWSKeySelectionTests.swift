import Testing

@testable import JOSE

@Suite("The key of a token")
struct JWSKeySelectionTests {
    static let set = JWKSet(
        SampleKey.all.map { JWK($0.publicKey, keyID: KeyID($0.testDescription), algorithm: $0.algorithm) })

    @Test("is the one that its kid names", arguments: SampleKey.all)
    func named(_ sample: SampleKey) throws {
        let jws = try JWS(compact: try Forge.token(of: sample, kid: sample.testDescription))
        #expect(try jws.verify(with: Self.set).publicKey == sample.publicKey)
    }

    @Test("is found by trying where there is no kid", arguments: SampleKey.all)
    func unnamed(_ sample: SampleKey) throws {
        let jws = try JWS(compact: try Forge.token(of: sample))
        #expect(try jws.verify(with: Self.set).publicKey == sample.publicKey)
    }

    @Test("isn't any of the set where the kid is unknown", arguments: ["other", "p-256", "P-256 ", "P\u{2010}256"])
    func unknown(_ kid: String) throws {
        let jws = try JWS(compact: try Forge.token(of: .p256, kid: kid))
        #expect(throws: JOSEError.of(.unknownKey)) { try jws.verify(with: Self.set) }
    }

    @Test("isn't another one of the set than the kid names")
    func othersName() throws {
        let jws = try JWS(compact: try Forge.token(of: .p256, kid: "P-384"))
        #expect(throws: JOSEError.of(.unsupported)) { try jws.verify(with: Self.set) }
        let twin = JWKSet([JWK(SampleKey.p256.other.publicKey, keyID: KeyID("P-384"))])
        #expect(throws: JOSEError.of(.signatureInvalid)) { try jws.verify(with: twin) }
    }

    @Test("must have the kid of the token where both have one")
    func mismatch() throws {
        let jws = try JWS(compact: try Forge.token(of: .p256, kid: "one"))
        try jws.verify(with: JWK(SampleKey.p256.publicKey))
        try jws.verify(with: JWK(SampleKey.p256.publicKey, keyID: KeyID("one")))
        #expect(throws: JOSEError.of(.unknownKey)) {
            try jws.verify(with: JWK(SampleKey.p256.publicKey, keyID: KeyID("two")))
        }
    }

    @Test("is the right one of two with one kid")
    func sharedName() throws {
        let jws = try JWS(compact: try Forge.token(of: .p256, kid: "same"))
        let twins = [SampleKey.p256.other.publicKey, SampleKey.p256.publicKey, SampleKey.rsa.publicKey]
        let set = JWKSet(twins.map { JWK($0, keyID: KeyID("same")) })
        #expect(try jws.verify(with: set).publicKey == SampleKey.p256.publicKey)
    }

    @Test("isn't in an empty set")
    func emptySet() throws {
        let jws = try JWS(compact: try Forge.token(of: .p256))
        #expect(throws: JOSEError.of(.unknownKey)) { try jws.verify(with: JWKSet([])) }
    }

    @Test("that doesn't fit the signature is told from one that isn't there, whatever comes behind it")
    func failure() throws {
        let jws = try JWS(compact: try Forge.token(of: .p256))
        let keys = [SampleKey.p256.other.publicKey, SampleKey.rsa.publicKey, SampleKey.ed25519.publicKey]
        #expect(throws: JOSEError.of(.signatureInvalid)) { try jws.verify(with: JWKSet(keys.map { JWK($0) })) }
    }

    @Test("that signs goes with its algorithm", arguments: SampleKey.all)
    func signer(_ sample: SampleKey) throws {
        let keyID = try sample.publicKey.thumbprint()
        for algorithm in Algorithm.table {
            let make = { try JWSSigner(key: sample.privateKey, keyID: keyID, algorithm: algorithm, type: "JWT") }
            if sample.publicKey.parameters.algorithms.contains(algorithm) {
                let jws = try JWS(compact: try make().sign(bytes("{}")))
                #expect(jws.header.keyID == keyID)
                #expect(jws.header.algorithmName == algorithm.name)
                #expect(jws.header.type == "jwt")
            } else {
                #expect(throws: JOSEError.of(.unsupported)) { try make() }
            }
        }
    }
}
