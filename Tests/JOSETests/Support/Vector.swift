import Foundation

@testable import JOSE

/// A published example, or a key that somebody else wrote, under Tests/Vectors.
enum Vector {
    static func text(_ name: String) throws -> String {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Vectors").standardized
        return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    static func json(_ name: String) throws -> JSONValue { try JSONValue(json: text(name)) }

    static func object(_ name: String) throws -> JSONObject { try JSONObject(json: Array(text(name).utf8)) }
}

extension JSONObject {
    /// The same object with some members changed; `nil` takes one out.
    func with(_ changes: [String: JSONValue?]) -> JSONObject {
        var object = self
        for (name, value) in changes { object[name] = value }
        return object
    }
}

extension JOSEError {
    /// An error to compare with: errors are equal when their codes are.
    static func of(_ code: Code) -> JOSEError { JOSEError(code, "") }
}

/// The bytes that hexadecimal digits spell.
func hex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
