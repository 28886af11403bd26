/// A `kid` (RFC 7515 section 4.1.4): the name of a key.
public struct KeyID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name as it is spelt.
    public let rawValue: String

    /// The longest name, in UTF-8 bytes.
    public static let maximumLength = 256

    /// A name of 1 to ``maximumLength`` bytes without control characters; `nil` for any other.
    public init?(_ rawValue: String) {
        guard (1...Self.maximumLength).contains(rawValue.utf8.count),
            Self.hasNoControls(rawValue)
        else { return nil }
        self.rawValue = rawValue
    }

    private static func hasNoControls(_ text: String) -> Bool {
        // Letters beyond ASCII have to be looked up.
        text.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
            || text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }

    init(unchecked rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    // By their bytes: a `kid` isn't normalised (RFC 7515 section 5.3), while Swift's `==` takes composed and decomposed
    // letters for the same.
    public static func == (left: KeyID, right: KeyID) -> Bool { left.rawValue.isSpelt(right.rawValue) }

    public func hash(into hasher: inout Hasher) {
        var text = rawValue
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    public static func < (left: KeyID, right: KeyID) -> Bool {
        left.rawValue.utf8.lexicographicallyPrecedes(right.rawValue.utf8)
    }
}
