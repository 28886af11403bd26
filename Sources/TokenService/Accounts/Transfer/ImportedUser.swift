internal import JOSE

/// A user of a file, checked and as the database stores them.
struct ImportedUser: Sendable {
    let line: Int
    /// As RFC 8265 prepares it.
    let name: String
    let passwordHash: String
    let claims: String
    let scopes: String
    let isDisabled: Bool

    /// - Throws: ``UserFileProblem``. It repeats no value: one in the wrong place may be a hash.
    init(_ values: [UserField: JSONValue], line: Int) throws {
        func problem(_ text: String) -> UserFileProblem { UserFileProblem(line: line, text) }
        func text(_ field: UserField) throws -> String {
            guard let value = values[field], value != .null else { throw problem("\(field.rawValue) is missing") }
            guard let text = value.string else { throw problem("\(field.rawValue) isn't a text") }
            return text
        }
        guard let name = Precis.userName(try text(.username)) else {
            throw problem("that can't be a username: \(Precis.nameRule)")
        }
        do {
            passwordHash = try PasswordHash(try text(.passwordHash)).text
        } catch let refusal as PasswordHash.Refusal {
            throw problem("the password_hash is \(refusal.advice)")
        }
        self.line = line
        self.name = name
        claims = try Self.claims(values[.claims] ?? .null, problem).jsonText
        scopes = try Self.scopes(values[.scope] ?? .null, problem)
        switch values[.disabled] ?? .null {
        case .bool(let flag): isDisabled = flag
        case .null: isDisabled = false
        default: throw problem("disabled is neither true nor false")
        }
    }

    private static func claims(
        _ value: JSONValue, _ problem: (String) -> UserFileProblem
    ) throws -> JSONObject {
        guard value != .null else { return [:] }
        guard let claims = value.object else { throw problem("the claims aren't a JSON object") }
        if let name = ClaimRules.registeredName(in: claims) {
            throw problem("tokens use the claim \(name) themselves; rename it or leave it out")
        }
        do {
            return try ClaimRules.checkSize(claims)
        } catch {
            throw problem(error.description)
        }
    }

    private static func scopes(_ value: JSONValue, _ problem: (String) -> UserFileProblem) throws -> String {
        guard value != .null else { return "" }
        guard let text = value.string else { throw problem("the scope isn't a text with spaces between the scopes") }
        guard text.utf8.count <= ClaimRules.maximumSize / 2 else {
            throw problem("the scope is over \(ClaimRules.maximumSize / 2) bytes, too much for a token")
        }
        do {
            return try ClaimRules.scopes(text.words, called: "the scope").joined(separator: " ")
        } catch {
            throw problem(error.description)
        }
    }
}
