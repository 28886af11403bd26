internal import COpenSSL

/// OpenSSL's state for signing or verifying with one key and one algorithm, for one caller at a time.
///
/// It holds a copy of the key: threads that share one `EVP_PKEY` wait for its reference count and, with P-256, gain
/// nothing from a second core. Hashing first and re-using one `EVP_PKEY_CTX` is OpenSSL 3's fastest way.
final class SignatureContext: @unchecked Sendable {
    struct Purpose: Hashable {
        let algorithm: Algorithm
        let signs: Bool
    }

    let purpose: Purpose
    private let key: OpaquePointer
    private let operation: OpaquePointer
    private let hashing: OpaquePointer
    /// Room for a hash, and for a signature as OpenSSL spells it.
    private var hash: [UInt8]
    private var encoded: [UInt8]

    init(copying original: OpaquePointer, purpose: Purpose) throws {
        self.purpose = purpose
        key = try check(EVP_PKEY_dup(original), "EVP_PKEY_dup")
        let contexts = (EVP_PKEY_CTX_new_from_pkey(nil, key, nil), EVP_MD_CTX_new())
        guard let operation = contexts.0, let hashing = contexts.1 else {
            EVP_PKEY_CTX_free(contexts.0)
            EVP_MD_CTX_free(contexts.1)
            EVP_PKEY_free(key)
            throw JOSEError.openSSL("EVP_PKEY_CTX_new_from_pkey")
        }
        self.operation = operation
        self.hashing = hashing
        hash = [UInt8](repeating: 0, count: purpose.algorithm.digest?.size ?? 0)
        encoded = [UInt8](repeating: 0, count: Int(EVP_PKEY_get_size(key)))
        guard let digest = purpose.algorithm.digest else { return }
        let started = purpose.signs ? EVP_PKEY_sign_init(operation) : EVP_PKEY_verify_init(operation)
        try check(started, "EVP_PKEY_sign_init")
        try check(EVP_PKEY_CTX_set_signature_md(operation, digest.handle), "EVP_PKEY_CTX_set_signature_md")
        switch purpose.algorithm.padding {
        case .none: break
        case .pkcs1:
            try check(EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PADDING), "EVP_PKEY_CTX_set_rsa_padding")
        case .pss:
            try check(EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PSS_PADDING), "EVP_PKEY_CTX_set_rsa_padding")
            try check(
                EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, RSA_PSS_SALTLEN_DIGEST), "EVP_PKEY_CTX_set_rsa_pss_saltlen")
        }
    }

    deinit {
        EVP_MD_CTX_free(hashing)
        EVP_PKEY_CTX_free(operation)
        EVP_PKEY_free(key)
    }

    /// The signature in JWS's form.
    func sign(_ message: [UInt8]) throws -> [UInt8] {
        var count = encoded.count
        if let digest = purpose.algorithm.digest {
            try hash(message[...], digest)
            try check(EVP_PKEY_sign(operation, &encoded, &count, hash, hash.count), "EVP_PKEY_sign")
        } else {
            try check(EVP_DigestSignInit(hashing, nil, nil, nil, key), "EVP_DigestSignInit")
            try check(EVP_DigestSign(hashing, &encoded, &count, message, message.count), "EVP_DigestSign")
        }
        guard let size = purpose.algorithm.curve?.coordinateSize else { return Array(encoded[..<count]) }
        return try ECDSASignature.concatenated(fromDER: encoded[..<count], coordinateSize: size)
    }

    /// Whether a signature in JWS's form belongs to the message.
    func verify(_ signature: [UInt8], of message: ArraySlice<UInt8>) throws -> Bool {
        guard let digest = purpose.algorithm.digest else {
            try check(EVP_DigestVerifyInit(hashing, nil, nil, nil, key), "EVP_DigestVerifyInit")
            return message.withUnsafeBufferPointer { message in
                accepted(EVP_DigestVerify(hashing, signature, signature.count, message.baseAddress, message.count))
            }
        }
        let encoded =
            if let size = purpose.algorithm.curve?.coordinateSize {
                try ECDSASignature.der(fromConcatenated: signature, coordinateSize: size)
            } else {
                signature
            }
        try hash(message, digest)
        return accepted(EVP_PKEY_verify(operation, encoded, encoded.count, hash, hash.count))
    }

    private func accepted(_ result: Int32) -> Bool {
        if result != 1 { ERR_clear_error() }
        return result == 1
    }

    private func hash(_ message: ArraySlice<UInt8>, _ digest: Digest) throws {
        try check(EVP_DigestInit_ex2(hashing, digest.handle, nil), "EVP_DigestInit_ex2")
        try message.withUnsafeBufferPointer { message in
            try check(EVP_DigestUpdate(hashing, message.baseAddress, message.count), "EVP_DigestUpdate")
        }
        try check(EVP_DigestFinal_ex(hashing, &hash, nil), "EVP_DigestFinal_ex")
    }
}
