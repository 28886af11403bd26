import Testing

@testable import JOSE

@Suite("A JWK Set")
struct JWKSetTests {
    @Test("comes back with its public keys in their order")
    func roundTrip() throws {
        let keys = try SampleKey.all.map {
            JWK($0.privateKey, keyID: try $0.publicKey.thumbprint(), algorithm: $0.algorithm)
        }
        let set = try JWKSet(json: JWKSet(keys).json())
        #expect(set.keys.map(\.keyID) == keys.map(\.keyID))
        #expect(set.keys.map(\.algorithm) == keys.map(\.algorithm))
        #expect(set.keys.map(\.publicKey) == keys.map(\.publicKey))
        #expect(set.keys.allSatisfy { $0.privateKey == nil })
    }

    @Test("passes over keys that can't be used")
    func unusableKeys() throws {
        let good = try SampleKey.p256.publicMembers()
        let elements: [JSONValue] = [
            ["kty": "oct", "k": "AAAA"], ["kty": "AKP", "alg": "ML-DSA-44"], [:], ["kty": 5],
            .object(good.with(["crv": "secp256k1"])), .object(good.with(["x": nil])),
            .object(good.with(["use": "enc"])), .object(good.with(["y": good["x"]])),
            .object(good.with(["alg": "RSA-OAEP"])), .object(good.with(["kid": ""])),
            .object(good),
        ]
        let set = try JWKSet(json: JSONValue.object(["keys": .array(elements)]).json)
        #expect(set.keys.map(\.publicKey) == [SampleKey.p256.publicKey])
    }

    @Test("may be empty, and may say more than its keys")
    func empty() throws {
        #expect(try JWKSet(json: bytes(#"{"keys":[],"next":{"a":[1]}}"#)).keys.isEmpty)
    }

    @Test(
        "is refused where it isn't an object with an array of objects",
        arguments: [
            "", "[]", "{}", #"{"keys":{}}"#, #"{"keys":null}"#, #"{"keys":[5]}"#, #"{"keys":["a"]}"#,
            #"{"keys":[null]}"#, #"{"keys":[],"keys":[]}"#, #"{"Keys":[]}"#, #"{"keys":[]} x"#,
            #"{"keys":[{"a":1,"a":2}]}"#,
        ])
    func malformed(_ text: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JWKSet(json: bytes(text)) }
    }

    @Test("has at most 1024 keys")
    func count() throws {
        func set(_ count: Int) -> [UInt8] {
            JSONValue.object(["keys": .array(Array(repeating: ["kty": "oct"], count: count))]).json
        }
        #expect(try JWKSet(json: set(1024)).keys.isEmpty)
        #expect(throws: JOSEError.of(.malformed)) { try JWKSet(json: set(1025)) }
    }

    @Test("is at most 1 MiB")
    func size() throws {
        let text = bytes(#"{"keys":[]}"#)
        let space = [UInt8](repeating: 0x20, count: JWKSet.maximumSize - text.count)
        #expect(try JWKSet(json: text + space).keys.isEmpty)
        #expect(throws: JOSEError.of(.malformed)) { try JWKSet(json: text + space + [0x20]) }
    }
}
