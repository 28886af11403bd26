internal import Foundation

/// Strangers' text is looked at byte by byte. Swift's own comparing, hashing and splitting of strings works on characters, and
/// takes quadratic time for one that is made of thousands of combining marks.
extension String {
    /// Whether two strings are the same code units: names in tokens aren't normalised (RFC 7519 section 2), while Swift's
    /// `==` takes composed and decomposed letters for the same.
    package func isSpelt(_ other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        return withCodeUnits { left in
            // Of the same length, and no string is at no address.
            other.withCodeUnits { right in memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0 }
        }
    }

    /// Lends the UTF-8 code units side by side; they must not be kept.
    func withCodeUnits<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        // Copies nothing but a string of Foundation's, or one short enough to be no object.
        var text = self
        return try text.withUTF8(body)
    }

    package var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    /// The parts between such bytes, the empty ones left out.
    package func parts(between separator: Unicode.Scalar, maxSplits: Int = .max) -> [String] {
        utf8.split(separator: UInt8(ascii: separator), maxSplits: maxSplits).map { String(Substring($0)) }
    }

    /// The words between spaces.
    package var words: [String] { parts(between: " ") }
}
