internal import Foundation
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
    /// How long a body may take to arrive.
    static let timeout = Duration.seconds(15)

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
        request.headers[.contentType].map {
            // What isn't ASCII is none that is known.
            $0.isASCII ? $0.split(separator: ";").first?.trimmingCharacters(in: .whitespaces).lowercased() ?? "" : ""
        }
    }

    /// The bytes of a body.
    ///
    /// - Throws: ``APIError`` with status 400, 408 or 413.
    static func collect(_ request: Request) async throws -> [UInt8] {
        if let length = request.headers[.contentLength] {
            // What isn't a number here is one that doesn't fit: the parser has seen to the rest.
            guard let length = Int(length), length <= maximumSize else { throw APIError.contentTooLarge }
            if length == 0 { return [] }
        } else if request.headers[.transferEncoding] == nil {
            return []
        }
        return try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                do {
                    return Array(buffer: try await request.body.collect(upTo: maximumSize))
                } catch is NIOTooManyBytesError {
                    throw APIError.contentTooLarge
                } catch let error where !(error is CancellationError) {
                    throw APIError.invalidRequest("the body ended early or can't be read")
                }
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let bytes = try await group.next() ?? nil else { throw APIError.timeout }
            return bytes
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
