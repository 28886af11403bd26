import FuzzSupport
import JOSE

/// Any bytes as a token: nothing gets in that the issuer didn't sign, and nothing is spelt in two ways.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { token in
        guard let jws = try? JWS(compact: token) else { return }
        let parts = token.split(separator: dot, omittingEmptySubsequences: false)
        require(parts.count == 3, "a token has three parts")
        for part in parts {
            try require(Base64URL.encode(Base64URL.decode(part)).utf8.elementsEqual(part), "a part has one spelling")
        }
        try require(jws.header.members == JSONObject(json: Base64URL.decode(parts[0])), "first comes the header")
        try require(jws.payload == Base64URL.decode(parts[1]), "second comes the payload")

        let claims = try? JWTClaims(json: jws.payload)
        let isForUs = claims.map { (try? Issuer.policy.check($0, header: jws.header, at: Issuer.now)) != nil } ?? false
        guard let key = try? jws.verify(with: Issuer.keySet) else { return }
        let signed = Array(token[..<token.lastIndex(of: dot)!])
        try require(
            key.publicKey.isValidSignature(
                Base64URL.decode(parts[2]), of: signed, algorithm: Algorithm(named: jws.header.algorithmName)),
            "what is signed is header and payload")
        require(!isForUs || Issuer.acceptable.contains(signed), "only the issuer makes tokens")
    }
}

/// In place of libFuzzer's own mutations, which seldom hit what base64url hides: two times of three one part is changed
/// inside.
@_cdecl("LLVMFuzzerCustomMutator")
func mutate(_ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ capacity: Int, _ seed: CUnsignedInt) -> Int {
    let place = UnsafeMutableBufferPointer(start: data, count: capacity)
    let token = Array(place.prefix(count))
    var parts = token.split(separator: dot, omittingEmptySubsequences: false).map(Array.init)
    var changed: [UInt8]?
    let index = Int(seed % 3)
    if seed / 3 % 3 > 0, index < parts.count, let bytes = try? Base64URL.decode(parts[index][...]) {
        parts[index] = Array(Base64URL.encode(mutated(bytes, capacity: bytes.count + 64)).utf8)
        changed = Array(parts.joined(separator: [dot]))
    }
    if changed.map({ $0.count > capacity }) ?? true { changed = mutated(token, capacity: capacity) }
    _ = place.update(fromContentsOf: changed!)
    return changed!.count
}

private let dot = UInt8(ascii: ".")
