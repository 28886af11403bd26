import Testing

@testable import JOSE

@Suite("Every row of the algorithm table")
struct AlgorithmTests {
    @Test("signs what it verifies", arguments: Algorithm.table)
    func roundTrip(_ algorithm: Algorithm) throws {
        let key = try PrivateKey.generate(for: algorithm)
        let keyID = try key.publicKey.thumbprint()
        let token = try JWSSigner(key: key, keyID: keyID, algorithm: algorithm, type: "at+jwt").sign(Array("{}".utf8))
        let jws = try JWS(compact: token)
        try jws.verify(with: JWK(key.publicKey, keyID: keyID, algorithm: algorithm))
        #expect(jws.payload == Array("{}".utf8))
    }
}
