internal import COpenSSL

/// A hash function, fetched once: OpenSSL 3 searches its providers on each fetch.
final class Digest: Sendable {
    // An EVP_MD is immutable and counted by atomic references.
    nonisolated(unsafe) let handle: OpaquePointer
    let size: Int

    private init(_ name: String) {
        guard let handle = EVP_MD_fetch(nil, name, nil) else {
            preconditionFailure("no OpenSSL provider has \(name): \(OpenSSLErrorQueue.drain())")
        }
        self.handle = handle
        size = Int(EVP_MD_get_size(handle))
    }

    static let sha256 = Digest("SHA256")
    static let sha384 = Digest("SHA384")
    static let sha512 = Digest("SHA512")
}

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    /// The 32 bytes of the hash.
    package static func hash(_ bytes: [UInt8]) throws -> [UInt8] {
        var hash = [UInt8](repeating: 0, count: Digest.sha256.size)
        try check(EVP_Digest(bytes, bytes.count, &hash, nil, Digest.sha256.handle, nil), "EVP_Digest")
        return hash
    }
}
