import Testing

@testable import JOSE

@Suite("A token that was tampered with")
struct TamperingTests {
    @Test("is refused, whichever letter was changed", arguments: Algorithm.table)
    func everyLetter(_ algorithm: Algorithm) throws {
        let sample = SampleKey.serving(algorithm)
        let key = JWK(sample.publicKey)
        let token = try Forge.token(of: sample, algorithm: algorithm)
        try JWS(compact: token).verify(with: key)
        let letters = bytes(token)
        for position in letters.indices {
            var changed = letters
            changed[position] = changed[position] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(throws: JOSEError.self, "letter \(position)") { try JWS(compact: changed).verify(with: key) }
        }
    }

    @Test("is refused where a letter was taken out or doubled", arguments: SampleKey.all)
    func everyLength(_ sample: SampleKey) throws {
        let key = JWK(sample.publicKey)
        let letters = bytes(try Forge.token(of: sample))
        for position in letters.indices {
            var (shorter, longer) = (letters, letters)
            shorter.remove(at: position)
            longer.insert(letters[position], at: position)
            #expect(throws: JOSEError.self) { try JWS(compact: shorter).verify(with: key) }
            #expect(throws: JOSEError.self) { try JWS(compact: longer).verify(with: key) }
        }
    }

    @Test("is refused with the payload or the signature of another token", arguments: SampleKey.all)
    func mixedParts(_ sample: SampleKey) throws {
        let header = "{\"alg\":\"\(sample.algorithm)\"}"
        func parts(_ payload: String) throws -> [String] {
            Forge.parts(
                try Forge.token(
                    header: header, payload: payload, key: sample.privateKey, algorithm: sample.algorithm))
        }
        let (one, two) = (try parts(#"{"sub":"alice"}"#), try parts(#"{"sub":"admin"}"#))
        for mixed in [[one[0], two[1], one[2]], [one[0], one[1], two[2]]] {
            #expect(throws: JOSEError.of(.signatureInvalid)) {
                try JWS(compact: mixed.joined(separator: ".")).verify(with: JWK(sample.publicKey))
            }
        }
    }
}
