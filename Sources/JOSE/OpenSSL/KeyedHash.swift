internal import COpenSSL

/// HMAC-SHA-256 (RFC 2104).
package enum HMACSHA256 {
    /// The 32 bytes that prove that the holder of `key` saw `message`.
    package static func authenticationCode(for message: [UInt8], key: SecretBytes) throws -> [UInt8] {
        var code = [UInt8](repeating: 0, count: Digest.sha256.size)
        let size = code.count
        var written = 0
        let result = key.withBytes { key in
            EVP_Q_mac(
                nil, "HMAC", nil, "SHA256", nil, key.baseAddress, key.count, message, message.count, &code, size,
                &written)
        }
        guard result != nil, written == size else { throw JOSEError.openSSL("EVP_Q_mac") }
        return code
    }
}

/// HKDF with SHA-256 (RFC 5869), without salt: the input is uniformly random already.
package enum HKDF {
    /// A key for one purpose, named by `info`, from a secret that has many.
    package static func key(from secret: SecretBytes, info: String, count: Int = 32) throws -> SecretBytes {
        let kdf = try check(EVP_KDF_fetch(nil, "HKDF", nil), "EVP_KDF_fetch")
        defer { EVP_KDF_free(kdf) }
        let context = try check(EVP_KDF_CTX_new(kdf), "EVP_KDF_CTX_new")
        defer { EVP_KDF_CTX_free(context) }
        var key = [UInt8](repeating: 0, count: count)
        defer { OPENSSL_cleanse(&key, count) }
        let info = Array(info.utf8)
        let result = secret.withBytes {
            COpenSSL_HKDF_SHA256(context, $0.baseAddress, $0.count, info, info.count, &key, count)
        }
        try check(result, "EVP_KDF_derive")
        return SecretBytes(key)
    }
}
