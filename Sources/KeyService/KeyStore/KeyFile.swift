internal import JOSE

/// The text of a key's file: a line with its record, a line with the record's authentication code, and a PEM block.
///
/// PEM readers pass over what stands before the block, so the openssl command opens the file as it is.
struct KeyFile {
    let record: KeyRecord
    /// The encrypted PKCS#8 block, or the public key where the private half was erased or never there.
    let pem: String

    private static let recordLabel = "token-service key record: "
    private static let codeLabel = "authentication code: "

    /// The keys that authenticate records, one a line of the master secret.
    static func authenticationKeys(_ secret: MasterSecret) throws -> [SecretBytes] {
        try secret.keys(for: "key record v1")
    }

    init(record: KeyRecord, pem: String) {
        self.record = record
        self.pem = pem
    }

    /// Reads a file's text.
    ///
    /// - Throws: ``KeyServiceError`` `masterSecret` where no line of the master secret made the authentication code,
    ///   ``JOSEError`` where it isn't a key's file.
    init(text: String, keys: [SecretBytes]) throws {
        let lines = text.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard lines.count == 3, lines[0].hasPrefix(Self.recordLabel), lines[1].hasPrefix(Self.codeLabel) else {
            throw JOSEError(.malformed, "not a key file: its first lines are missing or damaged")
        }
        let json = Array(lines[0].dropFirst(Self.recordLabel.count).utf8)
        let code = try Base64URL.decode(String(lines[1].dropFirst(Self.codeLabel.count)))
        guard
            try keys.contains(where: { constantTimeEquals(try HMACSHA256.authenticationCode(for: json, key: $0), code) }
            )
        else {
            throw KeyServiceError(
                .masterSecret, "its record was damaged, or written under a line that is no longer in the master secret")
        }
        pem = String(lines[2])
        // A damaged label counts as a private half, so that it is reported when it is opened.
        record = try KeyRecord(
            members: JSONObject(json: json), hasPrivateKey: !pem.hasPrefix("-----BEGIN PUBLIC KEY-----\n"))
    }

    func text(key: SecretBytes) throws -> String {
        let json = try record.members.json
        let code = Base64URL.encode(try HMACSHA256.authenticationCode(for: json, key: key))
        return Self.recordLabel + String(decoding: json, as: UTF8.self) + "\n" + Self.codeLabel + code + "\n" + pem
    }
}
