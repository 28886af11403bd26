internal import HTTPTypes
internal import Hummingbird
internal import JOSE
internal import NIOCore

/// The members of a request's body, JSON or form.
struct RequestBody {
    private let members: JSONObject
    private let isForm: Bool

    /// The largest body, in bytes.
    static let maximumSize = 64 * 1024

    /// Collects and reads the body of a request; an empty one has no members.
    ///
    /// - Throws: ``APIError`` with status 400, 408, 413 or 415.
    init(of request: Request) async throws {
        let bytes = try await Self.collect(request)
        let type = Self.mediaType(request)
        isForm = type != nil && type != "application/json"
        guard !bytes.isEmpty else {
            members = [:]
            return
        }
        switch type {
        case "application/json":
            do {
                members = try JSONObject(json: bytes)
            } catch {
                throw APIError.invalidRequest("the body is \(error)")
            }
        case "application/x-www-form-urlencoded":
            // RFC 6749 section 3.2: parameters must not be included more than once.
            members = try FormParameters(bytes).all.reduce(into: JSONObject()) { members, parameter in
                guard members[parameter.name] == nil else {
                    throw APIError.invalidRequest("the form has a repeated parameter")
                }
                members[parameter.name] = .string(parameter.value)
            }
        default:
            throw APIError.unsupportedType("application/json or application/x-www-form-urlencoded")
        }
    }

    /// The type of the body, lower case and without parameters; `nil` where none is named.
    static func mediaType(_ request: Request) -> String? {
        request.headers[.contentType].map { field in
            let type = field.utf8.prefix { $0 != UInt8(ascii: ";") }.drop(while: isSpace)
            let end = type.lastIndex { !isSpace($0) }.map { type.index(after: $0) } ?? type.startIndex
            // What isn't ASCII is none that is known, and would be slow to compare.
            guard type[..<end].allSatisfy({ $0 < 0x80 }) else { return "" }
            return String(decoding: type[..<end].map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// The bytes of a body.
    ///
    /// - Throws: ``APIError`` with status 400, 408 or 413.
    static func collect(_ request: Request) async throws -> [UInt8] {
        if let length = request.headers[.contentLength] {
            // What isn't a number here is one that doesn't fit: the parser has seen to the rest.
            guard let length = Int(length), length <= maximumSize else { throw APIError.contentTooLarge }
            if length == 0 { return [] }
        }
        do {
            return Array(buffer: try await request.body.collect(upTo: maximumSize))
        } catch is NIOTooManyBytesError {
            throw APIError.contentTooLarge
        } catch is RequestDeadline.Passed {
            throw APIError.timeout
        } catch {
            throw APIError.invalidRequest("the body ended early or can't be read")
        }
    }

    /// Whether the answer goes into cookies rather than into the body.
    ///
    /// - Throws: ``APIError``, also where that was asked for in a form: pages of any site can send one.
    var isDeliveredByCookie: Bool {
        get throws {
            guard let text = try optionalText("delivery"), !text.isSpelt("body") else { return false }
            guard text.isSpelt("cookie") else { throw APIError.invalidRequest("delivery is body or cookie") }
            try requireJSON()
            return true
        }
    }

    /// - Throws: ``APIError`` with status 415 for a form.
    func requireJSON() throws {
        if isForm { throw APIError.unsupportedType("application/json") }
    }

    /// - Throws: ``APIError`` where the member is there and isn't a string.
    func optionalText(_ name: String) throws -> String? {
        guard let value = members[name], value != .null else { return nil }
        guard let text = value.string else { throw APIError.invalidRequest("\(name) isn't a string") }
        return text
    }

    func text(_ name: String) throws -> String {
        guard let text = try optionalText(name) else { throw APIError.invalidRequest("\(name) is missing") }
        return text
    }
}
