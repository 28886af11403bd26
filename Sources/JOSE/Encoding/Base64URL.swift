/// Base64url without padding (RFC 7515 section 2), strict: one spelling for each byte string.
public enum Base64URL {
    /// The base64url spelling of some bytes.
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the base64url spelling of some bytes as ASCII.
    package static func append(_ bytes: some Collection<UInt8>, to text: inout [UInt8]) {
        text.reserveCapacity(text.count + (bytes.count * 4 + 2) / 3)
        var bits: UInt32 = 0
        var pending = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            pending += 8
            while pending >= 6 {
                pending -= 6
                text.append(alphabet[Int(bits >> UInt32(pending) & 63)])
            }
        }
        if pending > 0 {
            text.append(alphabet[Int(bits << UInt32(6 - pending) & 63)])
        }
    }

    /// The bytes that a base64url text spells.
    ///
    /// - Throws: ``JOSEError`` `malformed` for padding, white space, a letter outside the alphabet, an impossible length
    ///   or trailing bits that aren't zero.
    public static func decode(_ text: String) throws -> [UInt8] {
        try decode(text.utf8)
    }

    package static func decode(_ text: some Collection<UInt8>) throws -> [UInt8] {
        guard text.count % 4 != 1 else { throw JOSEError(.malformed, "base64url text of an impossible length") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var pending = 0
        for letter in text {
            let value = values[Int(letter)]
            guard value < 64 else { throw JOSEError(.malformed, "a letter that isn't base64url") }
            bits = bits << 6 | UInt32(value)
            pending += 6
            if pending >= 8 {
                pending -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(pending)))
            }
        }
        guard bits & (1 << UInt32(pending) - 1) == 0 else {
            throw JOSEError(.malformed, "base64url text with trailing bits that aren't zero")
        }
        return bytes
    }

    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()
}
