/// Base64url without padding (RFC 7515 section 2), strict: one spelling for each byte string.
public enum Base64URL {
    /// The base64url spelling of some bytes.
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        append(Array(bytes), to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the base64url spelling of some bytes as ASCII.
    package static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
        let start = text.count
        text.append(contentsOf: repeatElement(0, count: (bytes.count * 4 + 2) / 3))
        bytes.withUnsafeBufferPointer { bytes in
            text.withUnsafeMutableBufferPointer { spell(bytes, into: $0, from: start) }
        }
    }

    /// Each index is less than the count of its buffer: three bytes become four letters, and the rest, one or two bytes,
    /// one letter more.
    private static func spell(
        _ bytes: UnsafeBufferPointer<UInt8>, into text: UnsafeMutableBufferPointer<UInt8>, from start: Int
    ) {
        alphabet.withUnsafeBufferPointer { alphabet in
            var (read, written) = (0, start)
            func put(_ bits: UInt32, letters: Int) {
                for letter in 0..<letters {
                    text[written + letter] = alphabet[Int(bits >> UInt32(18 - 6 * letter) & 63)]
                }
                written += letters
            }
            while bytes.count - read >= 3 {
                put(UInt32(bytes[read]) << 16 | UInt32(bytes[read + 1]) << 8 | UInt32(bytes[read + 2]), letters: 4)
                read += 3
            }
            switch bytes.count - read {
            case 1: put(UInt32(bytes[read]) << 16, letters: 2)
            case 2: put(UInt32(bytes[read]) << 16 | UInt32(bytes[read + 1]) << 8, letters: 3)
            default: break
            }
        }
    }

    /// The bytes that a base64url text spells.
    ///
    /// - Throws: ``JOSEError`` `malformed` for padding, white space, a letter outside the alphabet, an impossible length
    ///   or trailing bits that aren't zero.
    public static func decode(_ text: String) throws -> [UInt8] {
        try decode(Array(text.utf8)[...])
    }

    package static func decode(_ text: ArraySlice<UInt8>) throws -> [UInt8] {
        guard text.count % 4 != 1 else { throw JOSEError(.malformed, "base64url text of an impossible length") }
        // All empty arrays are one, and uninitialised room of none would write its count there.
        guard !text.isEmpty else { return [] }
        var extra = Extra()
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count * 3 / 4) { bytes, count in
            text.withUnsafeBufferPointer { (count, extra) = read($0, into: bytes) }
        }
        guard extra.letters < 64 else { throw JOSEError(.malformed, "a letter that isn't base64url") }
        guard extra.bits == 0 else {
            throw JOSEError(.malformed, "base64url text with trailing bits that aren't zero")
        }
        return bytes
    }

    /// What a text has that it mustn't have.
    private struct Extra {
        /// Over 63 as soon as a letter isn't one.
        var letters: UInt8 = 0
        /// Those behind the last byte.
        var bits: UInt32 = 0
    }

    /// Each index is less than the count of its buffer: four letters become three bytes, and the rest, two or three
    /// letters, one byte less.
    ///
    /// - Returns: how many bytes there are, all of them written.
    private static func read(
        _ text: UnsafeBufferPointer<UInt8>, into bytes: UnsafeMutableBufferPointer<UInt8>
    ) -> (Int, Extra) {
        values.withUnsafeBufferPointer { values in
            var (count, extra) = (0, Extra())
            func bits(_ letters: Range<Int>) -> UInt32 {
                letters.reduce(0) { bits, letter in
                    let value = values[Int(text[letter])]
                    extra.letters |= value
                    return bits << 6 | UInt32(value & 63)
                }
            }
            func put(_ bits: UInt32, bytes number: Int) {
                for byte in 0..<number {
                    bytes[count + byte] = UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * byte))
                }
                count += number
            }
            let rest = text.count & 3
            for start in stride(from: 0, to: text.count - rest, by: 4) { put(bits(start..<start + 4), bytes: 3) }
            let last = bits(text.count - rest..<text.count)
            switch rest {
            case 2:
                put(last << 12, bytes: 1)
                extra.bits = last & 15
            case 3:
                put(last << 6, bytes: 2)
                extra.bits = last & 3
            default: break
            }
            return (count, extra)
        }
    }

    /// The bytes that a text spells in standard base64 without padding (RFC 4648 section 4), as strictly; `nil` where it
    /// isn't any.
    package static func decodeStandard(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var letters = Array(text)
        for index in letters.indices {
            switch letters[index] {
            case UInt8(ascii: "+"): letters[index] = UInt8(ascii: "-")
            case UInt8(ascii: "/"): letters[index] = UInt8(ascii: "_")
            case UInt8(ascii: "-"), UInt8(ascii: "_"): return nil
            default: break
            }
        }
        return try? decode(letters[...])
    }

    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()
}
