internal import COpenSSL

/// A hash function, fetched once and never given back: OpenSSL 3 searches its providers on each fetch.
struct Digest: Sendable {
    // An EVP_MD is immutable.
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
        var hash = [UInt8](repeating: 0, count: JOSE.Digest.sha256.size)
        try check(EVP_Digest(bytes, bytes.count, &hash, nil, JOSE.Digest.sha256.handle, nil), "EVP_Digest")
        return hash
    }

    /// A hash as a key of dictionaries: nothing is allocated for it.
    package struct Digest: Hashable, Sendable {
        private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        fileprivate init(_ fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
            // 32 bytes side by side, as many as the hash has.
            try withUnsafeMutableBytes(of: &words) { try fill($0) }
        }

        package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

        /// The hash is a hash already.
        package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

        /// One of so many buckets.
        package func bucket(of count: Int) -> Int { Int(words.3 % UInt64(count)) }
    }

    /// The hash of bytes, as a key of dictionaries.
    package static func digest(_ bytes: [UInt8]) throws -> Digest {
        try Digest { hash in
            try check(
                EVP_Digest(bytes, bytes.count, hash.baseAddress, nil, JOSE.Digest.sha256.handle, nil), "EVP_Digest")
        }
    }
}
