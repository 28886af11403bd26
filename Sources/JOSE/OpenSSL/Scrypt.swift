internal import COpenSSL

/// scrypt (RFC 7914).
package enum Scrypt {
    /// The hash of a password. Takes `128 * r * 2^logN` bytes of memory.
    ///
    /// - Parameters:
    ///   - logN: the binary logarithm of N.
    ///   - r: the block size.
    ///   - p: how often the work is done.
    ///   - count: how many bytes the hash has.
    /// - Throws: ``JOSEError`` for parameters that RFC 7914 doesn't allow, and where there isn't the memory.
    package static func hash(
        _ password: [UInt8], salt: [UInt8], logN: Int, r: Int, p: Int, count: Int
    ) throws -> [UInt8] {
        let (n, r, p) = (UInt64(1) << UInt64(logN), UInt64(r), UInt64(p))
        // Beside the N blocks, OpenSSL counts p of them and some of its own.
        let maximumMemory = 128 * r * (n + p + 4)
        var hash = [UInt8](repeating: 0, count: count)
        // OpenSSL only reads these bytes, and takes no address for an empty password.
        let result = password.withUnsafeBytes { password in
            EVP_PBE_scrypt(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), password.count, salt, salt.count, n, r, p,
                maximumMemory, &hash, count)
        }
        try check(result, "EVP_PBE_scrypt")
        return hash
    }
}
