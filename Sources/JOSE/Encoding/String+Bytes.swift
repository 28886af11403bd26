/// Strangers' text is looked at byte by byte. Swift's own comparing, hashing and splitting of strings works on characters, and
/// takes quadratic time for one that is made of thousands of combining marks.
extension String {
    /// Whether two strings are the same code units: names in tokens aren't normalised (RFC 7519 section 2), while Swift's
    /// `==` takes composed and decomposed letters for the same.
    package func isSpelt(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    package var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    /// The parts between such bytes, the empty ones left out.
    package func parts(between separator: Unicode.Scalar, maxSplits: Int = .max) -> [String] {
        utf8.split(separator: UInt8(ascii: separator), maxSplits: maxSplits).map { String(Substring($0)) }
    }

    /// The words between spaces.
    package var words: [String] { parts(between: " ") }
}
