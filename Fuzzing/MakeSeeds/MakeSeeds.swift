import Foundation
import FuzzSupport
import JOSE
import TokenAttacks

/// `MakeSeeds FOLDER` writes what fuzzing begins with: a folder for each target, a file for each input.
///
/// It is linked to libFuzzer as everything is in this build, and does its work before an input would be made.
@_cdecl("LLVMFuzzerInitialize")
func makeSeeds(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard CommandLine.arguments.count == 2 else { fatalError("usage: MakeSeeds FOLDER") }
    let folder = URL(filePath: CommandLine.arguments[1])
    do {
        let tokens = try tokens()
        try write(tokens, to: folder.appending(path: "CompactParser"))
        try write(jsonTexts(in: tokens), to: folder.appending(path: "JSONScanner"))
        try write(keys(), to: folder.appending(path: "KeyImporter"))
        try write(refreshTokens(), to: folder.appending(path: "RefreshTokenParser"))
    } catch {
        fatalError("the seeds can't be made: \(error)")
    }
    exit(0)
}

/// What libFuzzer would call next.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt { 0 }

private typealias Seeds = [String: [UInt8]]

/// Larger seeds would be cut off.
private let maximumSize = 20_000

private func write(_ seeds: Seeds, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, input) in seeds where input.count <= maximumSize {
        try Data(input).write(to: folder.appending(path: name))
    }
}

/// Every attack under each of the issuer's keys, the valid token that they are spoilt copies of, and the tokens of
/// the RFCs.
private func tokens() throws -> Seeds {
    var seeds = Seeds()
    for key in [Issuer.es256, Issuer.rs256] {
        let material = try AttackMaterial(
            key: key.privateKey!, keyID: key.keyID!, algorithm: key.algorithm!, claims: Issuer.claims,
            now: Issuer.now)
        let algorithm = key.algorithm!.name
        seeds["\(algorithm)-valid"] = Array(try material.validToken().utf8)
        for attack in TokenAttack.all + TokenAttack.strict {
            seeds["\(algorithm)-\(attack.name)"] = try attack.token(material)
        }
    }
    for file in try Vectors.files(extension: "json") {
        if case .object(let vector) = try JSONValue(json: Vectors.bytes(of: file)),
            let token = vector["token"]?.string
        {
            seeds[file.lastPathComponent] = Array(token.utf8)
        }
    }
    return seeds
}

/// The headers and payloads of tokens, each once, the vectors' files, and what neither has.
private func jsonTexts(in tokens: Seeds) throws -> Seeds {
    var seeds = Seeds()
    var seen: Set<[UInt8]> = []
    for (name, token) in tokens.sorted(by: { $0.key < $1.key }) {
        for (index, part) in token.split(separator: UInt8(ascii: ".")).prefix(2).enumerated() {
            guard let text = try? Base64URL.decode(part), seen.insert(text).inserted else { continue }
            seeds["\(name)-\(index)"] = text
        }
    }
    for file in try Vectors.files(extension: "json") { seeds[file.lastPathComponent] = try Vectors.bytes(of: file) }
    var texts = [
        #"[0, -0, -0.0, 1.5e3, 1E-7, 9223372036854775807, -9223372036854775808, 9223372036854775808, 5e-324, 1e308]"#,
        #"["\"\\\/\b\f\n\r\t\u0000\u00e9\ud83d\ude00", "é😀", "e\u0301", true, false, null, {}, []]"#,
        #" { "é" : { "a" : [ ] } , "e" : 1e+2 } "#,
    ]
    for depth in [JSONValue.maximumDepth, JSONValue.maximumDepth + 1] {
        texts.append(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        texts.append(String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth))
    }
    for (index, text) in texts.enumerated() { seeds["text-\(index)"] = Array(text.utf8) }
    return seeds
}

/// A key of every kind in every form, a set of all of them, and those that are refused.
private func keys() throws -> Seeds {
    var seeds = Seeds()
    func add(_ name: String, _ format: KeyFormat, _ text: String) { seeds[name] = format.input(text.utf8) }
    var keys = [Issuer.es256, Issuer.rs256]
    for algorithm in [Algorithm.es384, .es512, .edDSA] {
        let key = try PrivateKey.generate(for: algorithm)
        keys.append(JWK(key, keyID: try key.publicKey.thumbprint(), algorithm: algorithm))
    }
    for key in keys {
        let (name, privateKey) = (key.algorithm!.name, key.privateKey!)
        add("\(name)-public.jwk", .jwk, try key.publicMembers().jsonText)
        add("\(name)-private.jwk", .jwk, try key.privateMembers().jsonText)
        add("\(name)-public.pem", .publicPEM, try key.publicKey.pem())
        add("\(name)-private.pem", .privatePEM, try privateKey.pkcs8PEM())
        add("\(name)-encrypted.pem", .encryptedPEM, try privateKey.pkcs8PEM(passphrase: KeyFormat.passphrase))
        if key.algorithm != .edDSA { add("\(name)-traditional.pem", .privatePEM, try privateKey.traditionalPEM()) }
    }
    // Halves of two pairs.
    for algorithm in [Algorithm.rs256, .es256, .edDSA] {
        let other = try JWK(PrivateKey.generate(for: algorithm)).publicMembers()
        var members = try keys.first { $0.algorithm == algorithm }!.privateMembers()
        for name in ["n", "x", "y"] where other[name] != nil { members[name] = other[name] }
        add("\(algorithm.name)-mixed.jwk", .jwk, members.jsonText)
    }
    seeds["set.jwks"] = KeyFormat.jwkSet.input(try JWKSet(keys).json())
    for file in try Vectors.files(in: Vectors.folder.appending(path: "RefusedKeys"), extension: "pem") {
        let format = file.lastPathComponent.contains("private") ? KeyFormat.privatePEM : .publicPEM
        seeds["refused-\(file.lastPathComponent)"] = format.input(try Vectors.bytes(of: file))
    }
    return seeds
}

/// Whole tokens, and contents for the target to prove.
private func refreshTokens() throws -> Seeds {
    var seeds = Seeds()
    for generation in [1, 0x0102_0304_0506_0708, .max - 1, .max] as [Int64] {
        let number = (0..<8).reversed().map { UInt8(truncatingIfNeeded: generation >> (8 * $0)) }
        let content = [1] + Array(repeating: 2, count: 16) + number + Array(repeating: 3, count: 16)
        let proof = try HMACSHA256.authenticationCode(for: content, key: Issuer.refreshTokenKey)
        seeds["content-\(generation)"] = content
        seeds["text-\(generation)"] = Array(Base64URL.encode(content + proof).utf8)
    }
    return seeds
}
