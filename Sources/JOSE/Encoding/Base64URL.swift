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
        // Each index below is less than the count of its buffer: three bytes become four letters, and the rest, one or
        // two bytes, one letter more.
        bytes.withUnsafeBufferPointer { bytes in
            text.withUnsafeMutableBufferPointer { text in
                alphabet.withUnsafeBufferPointer { alphabet in
                    var (read, written) = (0, start)
                    func put(_ bits: UInt32, letters: Int) {
                        for letter in 0..<letters {
                            text[written + letter] = alphabet[Int(bits >> UInt32(18 - 6 * letter) & 63)]
                        }
                        written += letters
                    }
                    while bytes.count - read >= 3 {
                        put(
                            UInt32(bytes[read]) << 16 | UInt32(bytes[read + 1]) << 8 | UInt32(bytes[read + 2]),
                            letters: 4)
                        read += 3
                    }
                    switch bytes.count - read {
                    case 1: put(UInt32(bytes[read]) << 16, letters: 2)
                    case 2: put(UInt32(bytes[read]) << 16 | UInt32(bytes[read + 1]) << 8, letters: 3)
                    default: break
                    }
                }
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
        // Has bits above the lowest six as soon as a letter isn't one.
        var strange: UInt8 = 0
        var trailing: UInt32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count * 3 / 4) { bytes, count in
            // Each index below is less than the count of its buffer: four letters become three bytes, and the rest, two or
            // three letters, one byte less.
            text.withUnsafeBufferPointer { text in
                values.withUnsafeBufferPointer { values in
                    func bits(_ letters: Range<Int>) -> UInt32 {
                        var bits: UInt32 = 0
                        for letter in letters {
                            let value = values[Int(text[letter])]
                            strange |= value
                            bits = bits << 6 | UInt32(value & 63)
                        }
                        return bits
                    }
                    var read = 0
                    while text.count - read >= 4 {
                        let three = bits(read..<read + 4)
                        bytes[count] = UInt8(truncatingIfNeeded: three >> 16)
                        bytes[count + 1] = UInt8(truncatingIfNeeded: three >> 8)
                        bytes[count + 2] = UInt8(truncatingIfNeeded: three)
                        (read, count) = (read + 4, count + 3)
                    }
                    switch text.count - read {
                    case 2:
                        let one = bits(read..<read + 2)
                        bytes[count] = UInt8(truncatingIfNeeded: one >> 4)
                        (trailing, count) = (one & 15, count + 1)
                    case 3:
                        let two = bits(read..<read + 3)
                        bytes[count] = UInt8(truncatingIfNeeded: two >> 10)
                        bytes[count + 1] = UInt8(truncatingIfNeeded: two >> 2)
                        (trailing, count) = (two & 3, count + 2)
                    default: break
                    }
                }
            }
        }
        guard strange < 64 else { throw JOSEError(.malformed, "a letter that isn't base64url") }
        guard trailing == 0 else {
            throw JOSEError(.malformed, "base64url text with trailing bits that aren't zero")
        }
        return bytes
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
