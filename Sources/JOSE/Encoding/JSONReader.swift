extension JSONValue {
    /// The deepest nesting that is read; the outermost object or array counts as one.
    public static let maximumDepth = 32

    /// Reads one JSON text.
    ///
    /// - Throws: ``JOSEError`` `malformed` for anything that isn't one JSON value, a repeated member name, nesting deeper
    ///   than ``maximumDepth``, a number out of range, a lone surrogate or invalid UTF-8.
    public init(json: some Collection<UInt8>) throws {
        self = try JSONReader.document(Array(json), maximumDepth: Self.maximumDepth)
    }

    /// Reads one JSON text from a string.
    public init(json text: String) throws { try self.init(json: text.utf8) }
}

extension JSONObject {
    /// Reads one JSON text that has to be an object.
    ///
    /// - Throws: ``JOSEError`` `malformed` for another value, and where ``JSONValue`` throws.
    public init(json: some Collection<UInt8>) throws {
        try self.init(json: json, maximumDepth: JSONValue.maximumDepth)
    }

    /// As ``init(json:)``, with another bound of the nesting.
    package init(json: some Collection<UInt8>, maximumDepth: Int) throws {
        guard case .object(let object) = try JSONReader.document(Array(json), maximumDepth: maximumDepth) else {
            throw JOSEError(.malformed, "JSON that isn't an object")
        }
        self = object
    }
}

/// One pass over the bytes, no look-back.
private struct JSONReader {
    // Lent for as long as the reader lives. Each index is compared with the count before it is used.
    private let bytes: UnsafeBufferPointer<UInt8>
    private let maximumDepth: Int
    private var position = 0
    private var depth = 0

    static func document(_ bytes: [UInt8], maximumDepth: Int) throws -> JSONValue {
        try bytes.withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes: bytes, maximumDepth: maximumDepth)
            return try reader.document()
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>, maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    /// What was read from a position on.
    func read(from start: Int) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: bytes[start..<position]) }

    mutating func document() throws -> JSONValue {
        let value = try value()
        skipSpace()
        guard position == bytes.count else { throw malformed("something after its end") }
        return value
    }

    func malformed(_ what: String) -> JOSEError { JOSEError(.malformed, "JSON with \(what)") }

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    mutating func value() throws -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try nested { try $0.object() }
        case UInt8(ascii: "["): return try nested { try $0.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw malformed("a value missing")
        default: return try number()
        }
    }

    mutating func nested(_ body: (inout JSONReader) throws -> JSONValue) throws -> JSONValue {
        depth += 1
        guard depth <= maximumDepth else { throw malformed("nesting deeper than \(maximumDepth)") }
        defer { depth -= 1 }
        position += 1
        return try body(&self)
    }

    mutating func word(_ word: StaticString, _ value: JSONValue) throws -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, word.withUTF8Buffer({ bytes[position..<end].elementsEqual($0) }) else {
            throw malformed("an unknown word")
        }
        position = end
        return value
    }

    mutating func object() throws -> JSONValue {
        var object = JSONObject()
        if depth == 1 { object.reserveCapacity(16) }
        // Only where there are so many that comparing a name with each of them would take long.
        var names: Set<[UInt8]> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(object) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw malformed("a member name missing") }
            let name = try string()
            guard !repeats(name, in: object, &names) else { throw malformed("a repeated member") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw malformed("a colon missing") }
            object.append(name, try value())
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(object) }
            guard take(UInt8(ascii: ",")) else { throw malformed("an object that doesn't end") }
        }
    }

    /// Whether an object has a member of a name already.
    ///
    /// - Parameter names: those of all members, once there are more than ``comparedNames``.
    func repeats(_ name: String, in object: JSONObject, _ names: inout Set<[UInt8]>) -> Bool {
        guard object.members.count >= Self.comparedNames else { return object.contains(name) }
        if names.isEmpty { names = Set(object.members.map { Array($0.name.utf8) }) }
        return !names.insert(Array(name.utf8)).inserted
    }

    static var comparedNames: Int { 24 }

    mutating func array() throws -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw malformed("an array that doesn't end") }
        }
    }

    mutating func number() throws -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let leadingZero = next == UInt8(ascii: "0")
        let digits = skipDigits()
        guard digits > 0, !leadingZero || digits == 1 else { throw malformed("an invalid value") }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard skipDigits() > 0 else { throw malformed("an invalid number") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw malformed("an invalid number") }
        }
        if isInteger, position - start <= Self.surelyFitting { return .integer(integer(read(from: start))) }
        let text = String(decoding: read(from: start), as: UTF8.self)
        if isInteger, let number = Int64(text) { return .integer(number) }
        guard let number = Double(text), number.isFinite else { throw malformed("a number out of range") }
        return .number(number)
    }

    /// An integer of so many letters fits in 64 bits.
    static var surelyFitting: Int { 18 }

    func integer(_ letters: UnsafeBufferPointer<UInt8>) -> Int64 {
        var magnitude: Int64 = 0
        let isNegative = letters.first == UInt8(ascii: "-")
        for letter in letters.dropFirst(isNegative ? 1 : 0) { magnitude = magnitude * 10 + Int64(letter & 15) }
        return isNegative ? -magnitude : magnitude
    }

    mutating func skipDigits() -> Int {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    mutating func string() throws -> String {
        position += 1
        let start = position
        // Most strings are spelt as they are, in ASCII.
        while let byte = next, byte < 0x80, byte >= 0x20, byte != UInt8(ascii: "\\") {
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return String(decoding: read(from: start), as: UTF8.self)
            }
            position += 1
        }
        return try string(after: Array(read(from: start)))
    }

    /// The string whose beginning was read.
    mutating func string(after beginning: [UInt8]) throws -> String {
        var text = beginning
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw malformed("invalid UTF-8") }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw malformed("a control character in a string")
            default: text.append(byte)
            }
        }
        throw malformed("a string that doesn't end")
    }

    mutating func escape(into text: inout [UInt8]) throws {
        guard let byte = next else { throw malformed("a string that doesn't end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try codeUnit()
            if (0xD800..<0xDC00).contains(code) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw malformed("a lone surrogate") }
                let low = try codeUnit()
                guard (0xDC00..<0xE000).contains(low) else { throw malformed("a lone surrogate") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw malformed("a lone surrogate") }
            text.append(contentsOf: UTF8.encode(scalar)!)
        default: throw malformed("an unknown escape")
        }
    }

    /// The four hexadecimal digits after `\u`.
    mutating func codeUnit() throws -> UInt32 {
        guard position + 4 <= bytes.count else { throw malformed("a string that doesn't end") }
        var code: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed("an unknown escape")
            }
            code = code << 4 | UInt32(digit)
        }
        position += 4
        return code
    }
}
