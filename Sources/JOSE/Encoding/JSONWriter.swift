extension JSONValue {
    /// The shortest JSON text of this value, members in their order.
    public var json: [UInt8] {
        var bytes: [UInt8] = []
        JSONWriter.append(self, to: &bytes)
        return bytes
    }

    /// The JSON text as a string.
    public var jsonText: String { String(decoding: json, as: UTF8.self) }
}

extension JSONObject {
    /// The shortest JSON text of this object, members in their order.
    public var json: [UInt8] { JSONValue.object(self).json }

    /// The JSON text as a string.
    public var jsonText: String { JSONValue.object(self).jsonText }
}

/// Writes JSON straight to bytes.
package enum JSONWriter {
    package static func append(_ value: JSONValue, to bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .integer(let number): append(number, to: &bytes)
        case .number(let number): bytes.append(contentsOf: String(number).utf8)
        case .string(let text): append(text, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                append(element, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            appendMembers(of: object, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// The members without their braces.
    package static func appendMembers(of object: JSONObject, to bytes: inout [UInt8]) {
        for (index, member) in object.members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(member.name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            append(member.value, to: &bytes)
        }
    }

    package static func append(_ number: Int64, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: String(number).utf8)
    }

    package static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        text.withCodeUnits { text in
            // Most strings are written as they are.
            if text.contains(where: isEscaped) {
                for byte in text { appendEscaped(byte, to: &bytes) }
            } else {
                bytes.append(contentsOf: text)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private static func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0..<0x20:
            bytes.append(contentsOf: "\\u00".utf8)
            bytes.append(hexadecimal[Int(byte >> 4)])
            bytes.append(hexadecimal[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    private static let hexadecimal = [UInt8]("0123456789abcdef".utf8)
}

/// Writes an object straight to bytes, member by member. Names have to differ, and be ASCII without quotes.
package struct JSONObjectWriter {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    /// - Parameter capacity: the bytes that are expected.
    package init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// The text of the whole object.
    package consuming func json() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// Puts a comma between members.
    private mutating func separate() {
        if bytes.last != UInt8(ascii: "{") { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func append(name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    package mutating func append(_ name: StaticString, _ text: String) {
        append(name: name)
        JSONWriter.append(text, to: &bytes)
    }

    package mutating func append(_ name: StaticString, _ number: Int64) {
        append(name: name)
        JSONWriter.append(number, to: &bytes)
    }

    package mutating func append(_ name: StaticString, _ value: JSONValue) {
        append(name: name)
        JSONWriter.append(value, to: &bytes)
    }

    /// An object in the object.
    package mutating func append(_ name: StaticString, _ write: (inout JSONObjectWriter) -> Void) {
        append(name: name)
        bytes.append(UInt8(ascii: "{"))
        write(&self)
        bytes.append(UInt8(ascii: "}"))
    }

    /// All members of an object.
    package mutating func append(_ object: JSONObject) {
        guard !object.members.isEmpty else { return }
        separate()
        JSONWriter.appendMembers(of: object, to: &bytes)
    }
}
