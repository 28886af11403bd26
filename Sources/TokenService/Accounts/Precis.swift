internal import Foundation

/// Names and passwords prepared for comparison (RFC 8265), so that two spellings of one text are one.
///
/// The rules that need tables which Swift's library doesn't have are left out: bidirectional text (RFC 5893) and the
/// contexts of joiners and a few marks (RFC 5892 appendix A).
public enum Precis {
    /// The longest name or password, in UTF-8 bytes.
    public static let maximumLength = 1024

    /// What a name may be, for people.
    static let nameRule = "letters, digits and printable ASCII without spaces, at most \(maximumLength) bytes"

    /// A name as the profile UsernameCaseMapped prepares it: full-width letters narrowed, lower case, composed.
    ///
    /// - Returns: `nil` for an empty or over-long name, and for one with anything but letters, digits, marks and printable
    ///   ASCII.
    public static func userName(_ text: String) -> String? {
        guard text.utf8.count <= maximumLength else { return nil }
        let narrowed = String(String.UnicodeScalarView(text.unicodeScalars.map(narrow)))
        let name = narrowed.lowercased().precomposedStringWithCanonicalMapping
        guard !name.isEmpty, name.unicodeScalars.allSatisfy(isOfIdentifierClass) else { return nil }
        return name
    }

    /// A password as the profile OpaqueString prepares it: every space an ASCII space, composed; case is kept.
    ///
    /// - Returns: `nil` for an empty or over-long password, and for one with control characters.
    public static func password(_ text: String) -> String? {
        guard text.utf8.count <= maximumLength else { return nil }
        let spaced = String.UnicodeScalarView(
            text.unicodeScalars.map { $0.properties.generalCategory == .spaceSeparator ? " " : $0 })
        let password = String(spaced).precomposedStringWithCanonicalMapping
        guard !password.isEmpty,
            password.unicodeScalars.allSatisfy({
                ![.control, .surrogate, .unassigned, .privateUse].contains($0.properties.generalCategory)
            })
        else { return nil }
        return password
    }

    /// The ordinary letter for a full-width or half-width one (RFC 8265 section 3.3.1).
    private static func narrow(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        guard (0xFF01...0xFFEF).contains(scalar.value) else { return scalar }
        let mapped = Array(String(Character(scalar)).precomposedStringWithCompatibilityMapping.unicodeScalars)
        return mapped.count == 1 ? mapped[0] : scalar
    }

    /// RFC 8264 section 4.2.
    private static func isOfIdentifierClass(_ scalar: Unicode.Scalar) -> Bool {
        if (0x21...0x7E).contains(scalar.value) { return true }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .uppercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .decimalNumber:
            let text = String(Character(scalar))
            return !scalar.properties.isDefaultIgnorableCodePoint
                && text.precomposedStringWithCompatibilityMapping.unicodeScalars.elementsEqual(
                    text.precomposedStringWithCanonicalMapping.unicodeScalars)
        default: return false
        }
    }
}
