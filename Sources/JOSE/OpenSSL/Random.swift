internal import COpenSSL

/// Bytes from OpenSSL's random generator.
package func randomBytes(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try check(RAND_bytes(&bytes, Int32(count)), "RAND_bytes")
    return bytes
}

/// Names that nobody else has, of 16 random bytes in base64url. They are drawn many at a time, since a call of
/// OpenSSL's generator costs more than its bytes; so they lie in memory before they are used, and are nothing for
/// secrets. A copy of the process (a fork that goes on, a machine's snapshot resumed twice) has the drawn ones, too.
package final class RandomNames: Sendable {
    private let drawn = Locked<ArraySlice<UInt8>>([])

    private static let size = 16
    private static let drawnAtOnce = 256

    package init() {}

    package func next() throws -> String {
        let bytes = try drawn.withLock { drawn in
            if drawn.isEmpty { drawn = try randomBytes(Self.size * Self.drawnAtOnce)[...] }
            defer { drawn = drawn.dropFirst(Self.size) }
            return Array(drawn.prefix(Self.size))
        }
        return Base64URL.encode(bytes)
    }
}
