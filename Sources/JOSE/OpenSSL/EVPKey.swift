internal import COpenSSL

/// The one owner of an `EVP_PKEY`, public or with its private half.
///
/// Sendable because an `EVP_PKEY` isn't changed after it was made, and OpenSSL allows threads to share one for signing
/// and verifying. What may not be shared, the contexts, is lent to one caller at a time.
final class EVPKey: Sendable {
    nonisolated(unsafe) private let handle: OpaquePointer
    let isPrivate: Bool
    private let idleContexts = Locked<[SignatureContext]>([])

    /// Idle contexts that are kept; each holds a copy of the key.
    private static let keptContexts = 32

    /// Takes over a key that OpenSSL made.
    init(owning handle: OpaquePointer, isPrivate: Bool) {
        self.handle = handle
        self.isPrivate = isPrivate
    }

    deinit { EVP_PKEY_free(handle) }

    /// Lends the handle; it must not be kept.
    func withHandle<Result>(_ body: (OpaquePointer) throws -> Result) rethrows -> Result {
        try body(handle)
    }

    /// Lends a context for a purpose to `body`, making one where none is idle.
    func withContext<Result>(
        for purpose: SignatureContext.Purpose, _ body: (SignatureContext) throws -> Result
    ) throws -> Result {
        let idle = idleContexts.withLock { contexts in
            contexts.lastIndex { $0.purpose == purpose }.map { contexts.remove(at: $0) }
        }
        let context = try idle ?? SignatureContext(copying: handle, purpose: purpose)
        let result = try body(context)
        // A context that threw isn't used again.
        // What is too much is freed after the lock.
        _ = idleContexts.withLock { contexts in
            contexts.append(context)
            return contexts.count > Self.keptContexts ? contexts.removeFirst() : nil
        }
        return result
    }

    /// Whether two keys have the same public half.
    func hasSamePublicHalf(as other: EVPKey) -> Bool {
        let result = EVP_PKEY_eq(handle, other.handle)
        if result != 1 { _ = OpenSSLErrorQueue.drain() }
        return result == 1
    }
}

// MARK: - Making keys

extension EVPKey {
    /// A new key pair of a row of the key table.
    static func generate(_ parameters: KeyParameters) throws -> EVPKey {
        let context = try check(EVP_PKEY_CTX_new_from_name(nil, parameters.type.openSSLName, nil), "EVP_PKEY_CTX_new")
        defer { EVP_PKEY_CTX_free(context) }
        try check(EVP_PKEY_keygen_init(context), "EVP_PKEY_keygen_init")
        switch parameters {
        case .rsa(let bits):
            try check(EVP_PKEY_CTX_set_rsa_keygen_bits(context, Int32(bits)), "EVP_PKEY_CTX_set_rsa_keygen_bits")
        case .ec(let curve):
            try check(EVP_PKEY_CTX_set_group_name(context, curve.openSSLName), "EVP_PKEY_CTX_set_group_name")
        case .ed25519: break
        }
        var key: OpaquePointer?
        try check(EVP_PKEY_generate(context, &key), "EVP_PKEY_generate")
        return EVPKey(owning: try check(key, "EVP_PKEY_generate"), isPrivate: true)
    }

    /// A key from its numbers (big-endian) and octet strings, under OpenSSL's parameter names.
    static func make(_ type: KeyType, _ components: KeyComponents, isPrivate: Bool) throws -> EVPKey {
        let builder = try check(OSSL_PARAM_BLD_new(), "OSSL_PARAM_BLD_new")
        defer { OSSL_PARAM_BLD_free(builder) }
        // The builder refers to these until the parameters are made.
        var numbers: [OpaquePointer] = []
        defer { numbers.forEach { BN_clear_free($0) } }
        var texts: [UnsafeMutablePointer<CChar>] = []
        defer {
            texts.forEach {
                OPENSSL_cleanse($0, strlen($0)); free($0)
            }
        }
        var octets: [UnsafeMutableRawBufferPointer] = []
        defer {
            octets.forEach {
                OPENSSL_cleanse($0.baseAddress, $0.count); $0.deallocate()
            }
        }

        if let group = components.group {
            let text = try check(strdup(group), "strdup")
            texts.append(text)
            let name: StaticString = "group"
            try check(
                OSSL_PARAM_BLD_push_utf8_string(builder, name.cString, text, 0), "OSSL_PARAM_BLD_push_utf8_string")
        }
        for (name, bytes) in components.numbers {
            let number = try check(BN_bin2bn(bytes, Int32(bytes.count), nil), "BN_bin2bn")
            numbers.append(number)
            try check(OSSL_PARAM_BLD_push_BN(builder, name.cString, number), "OSSL_PARAM_BLD_push_BN")
        }
        for (name, bytes) in components.octets {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            buffer.copyBytes(from: bytes)
            octets.append(buffer)
            try check(
                OSSL_PARAM_BLD_push_octet_string(builder, name.cString, buffer.baseAddress, buffer.count),
                "OSSL_PARAM_BLD")
        }
        let parameters = try check(OSSL_PARAM_BLD_to_param(builder), "OSSL_PARAM_BLD_to_param")
        defer {
            // These are copies, and OSSL_PARAM_free doesn't wipe them.
            var parameter = parameters
            while parameter.pointee.key != nil {
                OPENSSL_cleanse(parameter.pointee.data, parameter.pointee.data_size)
                parameter += 1
            }
            OSSL_PARAM_free(parameters)
        }

        let context = try check(EVP_PKEY_CTX_new_from_name(nil, type.openSSLName, nil), "EVP_PKEY_CTX_new")
        defer { EVP_PKEY_CTX_free(context) }
        try check(EVP_PKEY_fromdata_init(context), "EVP_PKEY_fromdata_init")
        var key: OpaquePointer?
        let selection = isPrivate ? COpenSSL_EVP_PKEY_KEYPAIR : COpenSSL_EVP_PKEY_PUBLIC_KEY
        guard EVP_PKEY_fromdata(context, &key, selection, parameters) == 1, let key else {
            throw JOSEError(.keyRefused, "not a valid \(type.rawValue) key: \(JOSEError.openSSL("EVP_PKEY_fromdata"))")
        }
        return EVPKey(owning: key, isPrivate: isPrivate)
    }
}

/// What a key is made of, under OpenSSL's parameter names. OpenSSL keeps pointers to the names until the key is made.
struct KeyComponents {
    var group: String?
    var numbers: [(name: StaticString, bytes: [UInt8])] = []
    var octets: [(name: StaticString, bytes: [UInt8])] = []
}

extension StaticString {
    /// The text for a C function that keeps the pointer: a literal never goes away, and ends with a zero.
    var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

// MARK: - Looking into keys

extension EVPKey {
    /// What kind of key this is.
    ///
    /// - Throws: ``JOSEError`` `unsupported` for a type or curve that isn't in the table.
    func parameters() throws -> KeyParameters {
        if EVP_PKEY_is_a(handle, KeyType.rsa.openSSLName) == 1 {
            return .rsa(bits: Int(EVP_PKEY_get_bits(handle)))
        }
        if EVP_PKEY_is_a(handle, KeyType.octetKeyPair.openSSLName) == 1 { return .ed25519 }
        if EVP_PKEY_is_a(handle, KeyType.ellipticCurve.openSSLName) == 1 {
            var name = [CChar](repeating: 0, count: 80)
            var count = 0
            guard EVP_PKEY_get_group_name(handle, &name, name.count, &count) == 1 else {
                _ = OpenSSLErrorQueue.drain()
                throw JOSEError(.unsupported, "an elliptic curve key without a named curve")
            }
            // OpenSSL recognises the curve from its numbers; RFC 5480 section 2.1.1 wants the name.
            var explicit: Int32 = 0
            if EVP_PKEY_get_int_param(handle, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) != 1 {
                _ = OpenSSLErrorQueue.drain()
            }
            guard explicit == 0 else {
                throw JOSEError(.unsupported, "an elliptic curve spelt out in place of its name")
            }
            let group = String(decoding: name[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard let curve = Curve.table.first(where: { $0.openSSLGroup == group }) else {
                throw JOSEError(.unsupported, "the curve \(group); use P-256, P-384 or P-521")
            }
            return .ec(curve)
        }
        throw JOSEError(.unsupported, "a key that is neither RSA, EC nor Ed25519")
    }

    /// A number of the key, big-endian, with leading zeros up to `count` bytes where one is given.
    func number(_ name: StaticString, count: Int? = nil) throws -> [UInt8] {
        var number: OpaquePointer?
        try check(EVP_PKEY_get_bn_param(handle, name.cString, &number), "EVP_PKEY_get_bn_param")
        defer { BN_clear_free(number) }
        let size = count ?? Int(BN_num_bits(number) + 7) / 8
        var bytes = [UInt8](repeating: 0, count: size)
        guard BN_bn2binpad(number, &bytes, Int32(size)) == size else { throw JOSEError.openSSL("BN_bn2binpad") }
        return bytes
    }

    /// An octet string of the key.
    func octets(_ name: String) throws -> [UInt8] {
        var count = 0
        try check(EVP_PKEY_get_octet_string_param(handle, name, nil, 0, &count), "EVP_PKEY_get_octet_string_param")
        var bytes = [UInt8](repeating: 0, count: count)
        try check(
            EVP_PKEY_get_octet_string_param(handle, name, &bytes, count, &count), "EVP_PKEY_get_octet_string_param")
        return bytes
    }

    /// Checks that the numbers of the key fit one another.
    ///
    /// - Throws: ``JOSEError`` `keyRefused` where they don't.
    func validate() throws {
        let context = try check(EVP_PKEY_CTX_new_from_pkey(nil, handle, nil), "EVP_PKEY_CTX_new_from_pkey")
        defer { EVP_PKEY_CTX_free(context) }
        let result = isPrivate ? EVP_PKEY_check(context) : EVP_PKEY_public_check(context)
        guard result == 1 else {
            throw JOSEError(.keyRefused, "a key whose numbers don't fit: \(OpenSSLErrorQueue.drain())")
        }
    }
}
