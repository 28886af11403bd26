internal import Hummingbird
internal import JOSE

/// The parameters of an `application/x-www-form-urlencoded` body, in their order.
struct FormParameters {
    let all: [(name: String, value: String)]

    /// The most parameters of a form.
    private static let maximumCount = 64

    /// - Throws: ``APIError`` with status 400.
    init(_ bytes: [UInt8]) throws {
        let pairs = bytes.split(separator: UInt8(ascii: "&"), maxSplits: Self.maximumCount)
        guard pairs.count <= Self.maximumCount else {
            throw APIError.invalidRequest("the form has too many parameters")
        }
        all = try pairs.map { pair in
            let end = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard let name = Self.decode(pair[..<end]), let value = Self.decode(pair[end...].dropFirst()) else {
                throw APIError.invalidRequest("the form isn't percent-encoded UTF-8")
            }
            return (name, value)
        }
    }

    /// A name or a value without its encoding; `nil` for one that has none.
    static func decode(_ encoded: ArraySlice<UInt8>) -> String? {
        // Most are spelt as they are.
        if encoded.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "%") }) {
            return String(decoding: encoded, as: UTF8.self)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.count)
        var rest = encoded
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case 0x80...: return nil
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ letter: UInt8) -> UInt8? {
        switch letter {
        case 0x30...0x39: letter - 0x30
        case 0x41...0x46, 0x61...0x66: (letter | 0x20) - 0x61 + 10
        default: nil
        }
    }
}

/// The parameters of a request to an OAuth endpoint (RFC 6749 section 3.2): those without a value are omitted, and only
/// some may be there more than once.
struct OAuthParameters {
    private let all: [(name: String, value: String)]

    /// RFC 8707 section 2, RFC 8693 section 2.1.
    private static let repeatable = ["resource", "audience"]

    /// Collects and reads the body of a request; its query isn't looked at.
    ///
    /// - Throws: ``APIError`` with status 400, 408, 413 or 415.
    init(of request: Request) async throws {
        let bytes = try await RequestBody.collect(request)
        guard bytes.isEmpty || RequestBody.mediaType(request) == "application/x-www-form-urlencoded" else {
            throw APIError.unsupportedType("application/x-www-form-urlencoded")
        }
        all = try FormParameters(bytes).all
        for (index, parameter) in all.enumerated() where !Self.repeatable.contains(where: parameter.name.isSpelt) {
            guard !all[..<index].contains(where: { $0.name.isSpelt(parameter.name) }) else {
                throw APIError.invalidRequest("a parameter is there more than once")
            }
        }
    }

    subscript(name: String) -> String? { values(name).first }

    func values(_ name: String) -> [String] {
        all.filter { $0.name.isSpelt(name) && !$0.value.utf8.isEmpty }.map(\.value)
    }

    /// - Throws: ``APIError`` where there is none.
    func require(_ name: String) throws -> String {
        guard let value = self[name] else { throw APIError.invalidRequest("\(name) is missing") }
        return value
    }
}
