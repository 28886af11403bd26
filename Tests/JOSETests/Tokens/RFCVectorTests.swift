import Testing

@testable import JOSE

@Suite("The examples of the RFCs")
struct RFCVectorTests {
    static let signed = [
        "RFC7515-A.2", "RFC7515-A.3", "RFC7520-4.1", "RFC7520-4.2", "RFC7520-4.3", "RFC8037-A",
    ]
    /// Those whose signature has no randomness.
    static let repeatable = ["RFC7515-A.2", "RFC7520-4.1", "RFC8037-A"]

    struct Example {
        let key: JWK
        let members: JSONObject
        let token: String
        let payload: String

        init(_ name: String) throws {
            let example = try Vector.object("\(name).json")
            members = try #require(example["jwk"]?.object)
            key = try JWK(members: members)
            token = try #require(example["token"]?.string)
            payload = try #require(example["payload"]?.string)
        }
    }

    @Test("verify", arguments: signed)
    func verify(_ name: String) throws {
        let example = try Example(name)
        let jws = try JWS(compact: example.token)
        try jws.verify(with: example.key)
        #expect(jws.payload == bytes(example.payload))
    }

    @Test("verify with the public half alone", arguments: signed)
    func verifyWithPublicHalf(_ name: String) throws {
        let example = try Example(name)
        let key = try JWK(members: try JWK(example.key.publicKey).publicMembers())
        #expect(key.privateKey == nil)
        try JWS(compact: example.token).verify(with: key)
    }

    @Test("don't verify with another key of the kind", arguments: signed)
    func otherKey(_ name: String) throws {
        let example = try Example(name)
        let other = try PrivateKey.generate(for: example.key.algorithms[0])
        #expect(throws: JOSEError.of(.signatureInvalid)) {
            try JWS(compact: example.token).verify(with: JWK(other.publicKey))
        }
    }

    @Test("are signed to the same bytes", arguments: repeatable)
    func sign(_ name: String) throws {
        let example = try Example(name)
        let jws = try JWS(compact: example.token)
        let algorithm = try Algorithm(named: jws.header.algorithmName)
        let signature = try #require(example.key.privateKey).signature(
            of: Array(jws.signingInput), algorithm: algorithm)
        #expect(signature == jws.signature)
    }

    @Test("have keys that are written as they were read", arguments: signed)
    func keyRoundTrip(_ name: String) throws {
        let example = try Example(name)
        let written = try example.key.privateMembers()
        for member in example.members.members { #expect(written[member.name] == member.value, "\(member.name)") }
    }

    @Test("have the thumbprint that is printed there", arguments: ["RFC7638-3.1", "RFC8037-A"])
    func thumbprint(_ name: String) throws {
        let example = try Vector.object("\(name).json")
        let key = try JWK(members: try #require(example["jwk"]?.object))
        #expect(try key.publicKey.thumbprint().rawValue == example["thumbprint"]?.string)
    }

    @Test("name the same Ed25519 key in RFC 8037 A.1 and A.2")
    func octetKeyPair() throws {
        let example = try Vector.object("RFC8037-A.json")
        let pair = try JWK(members: try #require(example["jwk"]?.object))
        let half = try JWK(members: try #require(example["publicJWK"]?.object))
        #expect(pair.publicKey == half.publicKey)
    }
}
