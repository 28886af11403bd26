internal import CZlib
public import JOSE

/// A status list (Token Status List draft, section 4): a small number for each of many tokens, 0 for a valid one.
public struct StatusList: Hashable, Sendable {
    /// How many bits a status has: 1, 2, 4 or 8.
    public let bits: Int
    private var bytes: [UInt8]

    /// The longest list that is read, in bytes before compression.
    public static let maximumSize = 1024 * 1024

    /// A list of zeros.
    ///
    /// - Parameters:
    ///   - bits: 1, 2, 4 or 8 a status.
    ///   - count: how many statuses; rounded up to whole bytes.
    public init(bits: Int = 1, count: Int) {
        precondition([1, 2, 4, 8].contains(bits), "a status has 1, 2, 4 or 8 bits")
        self.bits = bits
        bytes = [UInt8](repeating: 0, count: (count * bits + 7) / 8)
    }

    /// Reads the members `bits` and `lst` of a status list (section 4.2).
    ///
    /// - Parameters:
    ///   - members: the claim `status_list` of a status list token.
    ///   - maximumSize: a longer list, in bytes before compression, is refused.
    /// - Throws: `JOSEError` `malformed`.
    public init(_ members: JSONObject, maximumSize: Int = StatusList.maximumSize) throws {
        guard let bits = members["bits"]?.integer, [1, 2, 4, 8].contains(bits) else {
            throw JOSEError(.malformed, "a status list whose bits aren't 1, 2, 4 or 8")
        }
        guard let text = members["lst"]?.string else { throw JOSEError(.malformed, "a status list without lst") }
        self.bits = Int(bits)
        let compressed = try Base64URL.decode(text)
        var bytes = [UInt8](repeating: 0, count: maximumSize)
        var size = uLongf(maximumSize)
        var read = uLong(compressed.count)
        guard uncompress2(&bytes, &size, compressed, &read) == Z_OK, read == compressed.count else {
            throw JOSEError(.malformed, "a status list that isn't ZLIB, or is over \(maximumSize) bytes")
        }
        self.bytes = Array(bytes[..<Int(size)])
    }

    /// How many statuses there are.
    public var count: Int { bytes.count * 8 / bits }

    /// The status at an index below ``count``.
    public subscript(index: Int) -> UInt8 {
        get {
            let position = index * bits
            return bytes[position / 8] >> (position % 8) & mask
        }
        set {
            let position = index * bits
            bytes[position / 8] &= ~(mask << (position % 8))
            bytes[position / 8] |= (newValue & mask) << (position % 8)
        }
    }

    private var mask: UInt8 { UInt8((1 << bits) - 1) }

    /// The members `bits` and `lst`, compressed as well as ZLIB can.
    public var members: JSONObject {
        var size = compressBound(uLong(bytes.count))
        var compressed = [UInt8](repeating: 0, count: Int(size))
        let result = compress2(&compressed, &size, bytes, uLong(bytes.count), Z_BEST_COMPRESSION)
        precondition(result == Z_OK, "ZLIB can't compress into a buffer of the size that it asked for")
        return ["bits": .integer(Int64(bits)), "lst": .string(Base64URL.encode(compressed[..<Int(size)]))]
    }
}
