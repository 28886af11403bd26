internal import COpenSSL

/// The two spellings of an ECDSA signature: OpenSSL's DER, and JWS's r and s side by side (RFC 7518 section 3.4).
enum ECDSASignature {
    static func concatenated(fromDER der: [UInt8], coordinateSize size: Int) throws -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 2 * size)
        try der.withUnsafeBufferPointer { der in
            var position = der.baseAddress
            let parsed = try check(d2i_ECDSA_SIG(nil, &position, der.count), "d2i_ECDSA_SIG")
            defer { ECDSA_SIG_free(parsed) }
            // r and s stay the property of the parsed signature.
            try signature.withUnsafeMutableBufferPointer { signature in
                let start = signature.baseAddress!
                guard BN_bn2binpad(ECDSA_SIG_get0_r(parsed), start, Int32(size)) == size,
                    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), start + size, Int32(size)) == size
                else { throw JOSEError.openSSL("BN_bn2binpad") }
            }
        }
        return signature
    }

    static func der(fromConcatenated signature: [UInt8], coordinateSize size: Int) throws -> [UInt8] {
        guard signature.count == 2 * size else {
            throw JOSEError(.signatureInvalid, "a signature of \(signature.count) bytes instead of \(2 * size)")
        }
        let composed = try check(ECDSA_SIG_new(), "ECDSA_SIG_new")
        defer { ECDSA_SIG_free(composed) }
        try signature.withUnsafeBufferPointer { signature in
            let start = signature.baseAddress!
            let r = BN_bin2bn(start, Int32(size), nil)
            let s = BN_bin2bn(start + size, Int32(size), nil)
            // From a successful set0 on, r and s belong to the signature.
            guard let r, let s, ECDSA_SIG_set0(composed, r, s) == 1 else {
                BN_free(r)
                BN_free(s)
                throw JOSEError.openSSL("ECDSA_SIG_set0")
            }
        }
        let count = i2d_ECDSA_SIG(composed, nil)
        guard count > 0 else { throw JOSEError.openSSL("i2d_ECDSA_SIG") }
        var der = [UInt8](repeating: 0, count: Int(count))
        let written = der.withUnsafeMutableBufferPointer {
            var position = $0.baseAddress
            return i2d_ECDSA_SIG(composed, &position)
        }
        guard written == count else { throw JOSEError.openSSL("i2d_ECDSA_SIG") }
        return der
    }
}
