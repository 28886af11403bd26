import FuzzSupport
import JOSE

/// Any bytes as a key: what is imported is exported, and imported again, without loss, and a private key signs what its
/// public half verifies.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { input in
        guard let first = input.first else { return }
        let content = input.dropFirst()
        let text = String(decoding: content, as: UTF8.self)
        switch KeyFormat(first) {
        case .jwk: if let key = try? JWK(json: content) { try check(key) }
        case .jwkSet: if let set = try? JWKSet(json: content) { try check(set) }
        case .publicPEM: if let key = try? PublicKey(pem: text) { try check(JWK(key)) }
        case .privatePEM: if let key = try? PrivateKey(pem: text) { try check(JWK(key)) }
        case .encryptedPEM:
            if let key = try? PrivateKey(pem: text, passphrase: KeyFormat.passphrase) { try check(JWK(key)) }
        }
    }
}

private func check(_ set: JWKSet) throws {
    for key in set.keys { try check(key) }
    let others = JWKSet(set.keys.filter { $0.publicKey.parameters.type != .rsa })
    try require(
        JWKSet(json: others.json()).keys.map { try $0.publicMembers() } == others.keys.map { try $0.publicMembers() },
        "an exported JWK Set is imported again")
}

private func check(_ key: JWK) throws {
    do {
        try checkExports(of: key)
    } catch let error as JOSEError
        where error.code == .keyRefused && key.privateKey == nil && key.publicKey.parameters.type == .rsa
    {
        // OpenSSL finds a modulus of more than two primes by chance: it can get in once, and be refused the next time.
    }
}

private func checkExports(of key: JWK) throws {
    let publicKey = key.publicKey
    let parameters = publicKey.parameters
    if case .rsa(let bits) = parameters { require((2048...8192).contains(bits), "RSA keys have 2048 to 8192 bits") }
    require(key.algorithms.allSatisfy(parameters.algorithms.contains), "an algorithm goes with the key")
    try require(PublicKey(pem: publicKey.pem()) == publicKey, "an exported public key is imported again")
    try require(
        JWK(members: key.publicMembers()).publicMembers() == key.publicMembers(),
        "an exported public JWK is imported again")
    guard let privateKey = key.privateKey else { return }

    let members = try key.privateMembers()
    try require(JWK(members: members).privateMembers() == members, "an exported private JWK is imported again")
    try require(
        JWK(PrivateKey(pem: privateKey.pkcs8PEM()), keyID: key.keyID, algorithm: key.algorithm).privateMembers()
            == members,
        "an exported private key is imported again")
    let message = Array("message".utf8)
    let algorithm = key.algorithms[0]
    try require(
        publicKey.isValidSignature(
            privateKey.signature(of: message, algorithm: algorithm), of: message, algorithm: algorithm),
        "the public half verifies what the private one signs")
}
