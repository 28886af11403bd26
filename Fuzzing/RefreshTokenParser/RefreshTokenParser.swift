import FuzzSupport
internal import JOSE

/// Any bytes as a refresh token, and as the content of one that is proved, which no mutation makes: what is read is
/// written as it was.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { input in
        let proof = try HMACSHA256.authenticationCode(for: input, key: Issuer.refreshTokenKey)
        for text in [String(decoding: input, as: UTF8.self), Base64URL.encode(input + proof)] {
            guard let token = try coder.read(text) else { continue }
            try require(coder.text(of: token).utf8.elementsEqual(text.utf8), "a token has one spelling")
            require(token.generation > 0 && token.generation < .max, "a generation has a successor")
            require(token.sessionID.count == 16 && token.seed.count == 16, "session id and seed have 16 bytes")
        }
    }
}

private let coder = RefreshTokenCoder(keys: [Issuer.refreshTokenKey])
