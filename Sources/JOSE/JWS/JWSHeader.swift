/// The protected header of a JWS (RFC 7515 section 4). `jwk`, `jku`, `x5u` and `x5c` are never looked at.
public struct JWSHeader: Hashable, Sendable {
    /// The `alg` value, which may name no algorithm that is known here.
    public let algorithmName: String
    /// The algorithm of that name, if there is one.
    let algorithm: Algorithm?
    /// The `kid`: the key that the token says it was signed with.
    public let keyID: KeyID?
    /// The `typ` value, lower case and without the prefix `application/` (RFC 7515 section 4.1.9).
    public let type: String?
    /// All members.
    public let members: JSONObject

    /// Reads the JSON text of a header.
    ///
    /// - Throws: ``JOSEError`` `malformed` for anything that isn't a header, `unsupported` for `crit`: no extension is
    ///   understood here.
    init(json: some Collection<UInt8>) throws {
        members = try JSONObject(json: json)
        guard !members.contains("crit"), !members.contains("b64") else {
            throw JOSEError(.unsupported, "a header with extensions that must be understood")
        }
        guard let name = members["alg"]?.string else { throw JOSEError(.malformed, "a header without alg") }
        algorithmName = name
        algorithm = Algorithm(spelt: name)
        if let value = members["kid"] {
            guard let keyID = value.string.flatMap(KeyID.init) else {
                throw JOSEError(.malformed, "a header whose kid is empty, too long or not text")
            }
            self.keyID = keyID
        } else {
            keyID = nil
        }
        if let value = members["typ"] {
            guard let text = value.string else {
                throw JOSEError(.malformed, "a header whose typ isn't a string")
            }
            type = Self.mediaType(text)
        } else {
            type = nil
        }
    }

    /// A media type as ``type`` spells it.
    static func mediaType(_ text: String) -> String {
        let letters = text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        let prefix = "application/".utf8
        return String(decoding: letters.dropFirst(letters.starts(with: prefix) ? prefix.count : 0), as: UTF8.self)
    }
}
