import Testing

@testable import JOSE

@Suite("One key that many tasks share", .timeLimit(.minutes(5)))
struct ConcurrencyTests {
    @Test("signs and verifies for all of them", arguments: Algorithm.table)
    func shared(_ algorithm: Algorithm) async throws {
        let sample = SampleKey.serving(algorithm)
        let keyID = try sample.publicKey.thumbprint()
        let signer = try JWSSigner(key: sample.privateKey, keyID: keyID, algorithm: algorithm, type: "JWT")
        let key = JWK(sample.publicKey, keyID: keyID)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<32 {
                group.addTask {
                    for round in 0..<4 {
                        let payload = bytes("\(task) \(round)")
                        let jws = try JWS(compact: try signer.sign(payload))
                        try jws.verify(with: key)
                        #expect(jws.payload == payload)
                        #expect(try !key.publicKey.isValidSignature(jws.signature, of: payload, algorithm: algorithm))
                        await Task.yield()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("is compared, written and named by all of them", arguments: SampleKey.all)
    func looks(_ sample: SampleKey) async throws {
        let (pem, keyID) = (try sample.publicKey.pem(), try sample.publicKey.thumbprint())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { try look(at: sample, pem: pem, keyID: keyID) } }
            try await group.waitForAll()
        }
    }

    private func look(at sample: SampleKey, pem: String, keyID: KeyID) throws {
        #expect(try sample.publicKey.pem() == pem)
        #expect(try sample.publicKey.thumbprint() == keyID)
        #expect(try PublicKey(pem: pem) == sample.publicKey)
        #expect(try PrivateKey(pem: sample.privateKey.pkcs8PEM()).publicKey == sample.publicKey)
        #expect(sample.publicKey != sample.other.publicKey)
    }
}
