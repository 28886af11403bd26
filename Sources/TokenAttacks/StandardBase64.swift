import JOSE

/// Base64 with `+`, `/` and padding (RFC 4648 section 4).
enum StandardBase64 {
    static func encode(_ bytes: [UInt8]) -> String {
        let letters = withPlusAndSlash(Array(Base64URL.encode(bytes).utf8))
        return String(decoding: padded(letters), as: UTF8.self)
    }

    static func withPlusAndSlash(_ letters: [UInt8]) -> [UInt8] {
        letters.map {
            switch $0 {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: $0
            }
        }
    }

    static func padded(_ letters: [UInt8]) -> [UInt8] {
        letters + Array(repeating: UInt8(ascii: "="), count: (4 - letters.count % 4) % 4)
    }
}

/// The text form of keys and certificates (RFC 7468).
enum PEM {
    /// The base64 between the lines that say what it is, in one line.
    static func body(_ text: String) -> String {
        text.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
    }

    /// The bytes that a PEM text spells.
    static func content(_ text: String) throws -> [UInt8] {
        try Base64URL.decode(
            body(text).replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: ""))
    }
}
