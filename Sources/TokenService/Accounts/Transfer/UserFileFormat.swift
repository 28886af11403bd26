internal import JOSE

/// How a file lists users.
public enum UserFileFormat: String, Sendable, CaseIterable {
    /// A JSON object a line.
    case ndjson
    /// RFC 4180 with a heading.
    case csv

    /// The heading, if there is one.
    var heading: [UInt8] {
        switch self {
        case .ndjson: []
        case .csv: Array((UserField.allCases.map(\.rawValue).joined(separator: ",") + "\n").utf8)
        }
    }

    /// The line of a user.
    func line(for user: User) -> [UInt8] {
        var line: [UInt8] = []
        switch self {
        case .ndjson:
            var object = JSONObject()
            for field in UserField.allCases { object[field.rawValue] = field.value(of: user) }
            line = object.json
        case .csv:
            for field in UserField.allCases {
                if !line.isEmpty { line.append(UInt8(ascii: ",")) }
                let value = field.value(of: user)
                CSV.append(value.string ?? value.jsonText, to: &line)
            }
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }
}

/// What a file says of a user: the members of an object, the columns of a table.
enum UserField: String, CaseIterable {
    case username
    case passwordHash = "password_hash"
    case claims
    case scope
    case disabled

    init?(spelt name: String) {
        guard let field = Self.allCases.first(where: { $0.rawValue.isSpelt(name) }) else { return nil }
        self = field
    }

    func value(of user: User) -> JSONValue {
        switch self {
        case .username: .string(user.name)
        case .passwordHash: .string(user.passwordHash)
        case .claims: .object(user.claims)
        case .scope: .string(user.scopes.joined(separator: " "))
        case .disabled: .bool(user.disabledAt != nil)
        }
    }

    /// The value that a cell of a table spells; `nil` for an empty one that may be.
    func value(ofCell text: String) throws -> JSONValue? {
        switch self {
        case .username, .passwordHash, .scope: .string(text)
        case .claims: text.isEmpty ? nil : try JSONValue(json: text.utf8)
        case .disabled:
            switch text {
            case "": nil
            case "true": true
            case "false": false
            // Refused like another type in JSON.
            default: .string(text)
            }
        }
    }
}
