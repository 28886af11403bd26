@testable import JOSE

/// Tokens with whatever header one likes.
enum Forge {
    /// A compact JWS whose header is this text, byte for byte, and whose signature is sound.
    static func token(
        header: String, payload: String = "{}", key: PrivateKey = SampleKey.p256.privateKey,
        algorithm: Algorithm = .es256
    ) throws -> String {
        let input = "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(payload.utf8))"
        return "\(input).\(Base64URL.encode(try key.signature(of: bytes(input), algorithm: algorithm)))"
    }

    /// A usual token of a key.
    static func token(of sample: SampleKey, algorithm: Algorithm? = nil, kid: String? = nil) throws -> String {
        let algorithm = algorithm ?? sample.algorithm
        let keyID = kid.map { ",\"kid\":\"\($0)\"" } ?? ""
        return try token(
            header: "{\"alg\":\"\(algorithm)\"\(keyID)}", payload: #"{"sub":"alice"}"#, key: sample.privateKey,
            algorithm: algorithm)
    }

    /// The three parts of a token.
    static func parts(_ token: String) -> [String] { token.split(separator: ".").map(String.init) }

    /// The token with another signature.
    static func token(_ token: String, signature: [UInt8]) -> String {
        let parts = parts(token)
        return "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))"
    }

    static func signature(of token: String) throws -> [UInt8] { try Base64URL.decode(parts(token)[2]) }
}
