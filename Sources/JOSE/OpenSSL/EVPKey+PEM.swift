internal import COpenSSL

/// The largest key file that is read, in bytes; an RSA key of 8192 bits has about 6,500.
let maximumKeyFileSize = 64 * 1024

/// The longest passphrase, in bytes: OpenSSL's decoder cuts off what is beyond (`PEM_BUFSIZE`), its encoder doesn't.
let maximumPassphraseSize = 1024

extension EVPKey {
    /// Reads the first private key of a PEM text: PKCS#8, plain or encrypted, PKCS#1 or SEC1.
    static func privateKey(pem: String, passphrase: SecretBytes?) throws -> EVPKey {
        try decode(pem: pem, isPrivate: true, passphrase: passphrase)
    }

    /// Reads the first public key of a PEM text: SubjectPublicKeyInfo or PKCS#1.
    static func publicKey(pem: String) throws -> EVPKey {
        try decode(pem: pem, isPrivate: false, passphrase: nil)
    }

    private static let privateLabels = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
    private static let publicLabels = ["PUBLIC KEY", "RSA PUBLIC KEY"]

    /// The first block of a PEM text (RFC 7468) with one of some labels. OpenSSL's decoder would look no further than
    /// the first block of all, a curve's parameters or a certificate.
    private static func block(of pem: String, labels: [String]) -> String? {
        let lines = pem.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (start, line) in lines.enumerated() {
            guard let label = labels.first(where: { line == "-----BEGIN \($0)-----" }) else { continue }
            guard let end = lines[start...].firstIndex(of: "-----END \(label)-----") else { return nil }
            return lines[start...end].joined(separator: "\n") + "\n"
        }
        return nil
    }

    private static func decode(pem: String, isPrivate: Bool, passphrase: SecretBytes?) throws -> EVPKey {
        guard pem.utf8.count <= maximumKeyFileSize else {
            throw JOSEError(.malformed, "a key file over \(maximumKeyFileSize) bytes")
        }
        guard let block = block(of: pem, labels: isPrivate ? privateLabels : publicLabels) else {
            throw JOSEError(.malformed, "no \(isPrivate ? "private" : "public") key in this PEM text")
        }
        let source = try MemoryBIO()
        try source.write(Array(block.utf8))
        let selection = isPrivate ? COpenSSL_EVP_PKEY_KEYPAIR : COpenSSL_EVP_PKEY_PUBLIC_KEY
        // The decoder keeps the pointers to the key's place and to the format's name: both have to last.
        let format: StaticString = "PEM"
        var key: OpaquePointer?
        let decoded = try withUnsafeMutablePointer(to: &key) { place in
            let decoder = try check(
                OSSL_DECODER_CTX_new_for_pkey(place, format.cString, nil, nil, selection, nil, nil),
                "OSSL_DECODER_CTX_new_for_pkey")
            defer { OSSL_DECODER_CTX_free(decoder) }
            // Without a passphrase the decoder has nobody to ask, and fails: it never reads the terminal.
            guard let passphrase, passphrase.count <= maximumPassphraseSize else {
                return OSSL_DECODER_from_bio(decoder, source.handle)
            }
            return passphrase.withBytes {
                OSSL_DECODER_CTX_set_passphrase(decoder, $0.bindMemory(to: UInt8.self).baseAddress, $0.count) == 1
                    ? OSSL_DECODER_from_bio(decoder, source.handle) : 0
            }
        }
        guard decoded == 1, let key else {
            EVP_PKEY_free(key)
            let reasons = OpenSSLErrorQueue.drain()
            if block.contains("ENCRYPTED PRIVATE KEY") || block.contains("4,ENCRYPTED") {
                let problem =
                    passphrase == nil
                    ? "the key is encrypted and needs a passphrase" : "the passphrase doesn't open the key"
                throw JOSEError(.wrongPassphrase, problem)
            }
            throw JOSEError(.malformed, "a PEM text that holds no key: \(reasons)")
        }
        _ = OpenSSLErrorQueue.drain()
        return EVPKey(owning: key, isPrivate: isPrivate)
    }

    /// PKCS#8 (RFC 5958) as PEM; with a passphrase encrypted by PBES2 with AES-256 and PBKDF2, 2048 rounds.
    func pkcs8PEM(passphrase: SecretBytes?) throws -> String {
        if let passphrase, !(1...maximumPassphraseSize).contains(passphrase.count) {
            throw JOSEError(.wrongPassphrase, "a passphrase that isn't 1 to \(maximumPassphraseSize) bytes")
        }
        let bio = try MemoryBIO()
        let written = try withHandle { handle in
            guard let passphrase else {
                return PEM_write_bio_PKCS8PrivateKey(bio.handle, handle, nil, nil, 0, nil, nil)
            }
            let cipher = try check(EVP_CIPHER_fetch(nil, "AES-256-CBC", nil), "EVP_CIPHER_fetch")
            defer { EVP_CIPHER_free(cipher) }
            return passphrase.withBytes {
                let bytes = $0.bindMemory(to: CChar.self)
                return PEM_write_bio_PKCS8PrivateKey(
                    bio.handle, handle, cipher, bytes.baseAddress, Int32(bytes.count), nil, nil)
            }
        }
        try check(written, "PEM_write_bio_PKCS8PrivateKey")
        return bio.text
    }

    /// PKCS#1 (RFC 8017) for RSA, SEC1 (RFC 5915) for elliptic curves, as PEM and unencrypted.
    func traditionalPEM() throws -> String {
        let bio = try MemoryBIO()
        try check(
            withHandle { PEM_write_bio_PrivateKey_traditional(bio.handle, $0, nil, nil, 0, nil, nil) },
            "PEM_write_bio_PrivateKey_traditional")
        return bio.text
    }

    /// SubjectPublicKeyInfo (RFC 5280) as PEM.
    func publicKeyPEM() throws -> String {
        let bio = try MemoryBIO()
        try check(withHandle { PEM_write_bio_PUBKEY(bio.handle, $0) }, "PEM_write_bio_PUBKEY")
        return bio.text
    }
}
