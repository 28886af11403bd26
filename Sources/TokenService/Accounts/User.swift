public import JOSE
internal import Storage

/// Somebody who logs in.
public struct User: Sendable {
    /// The `sub` of their tokens: random, and never used again.
    public let id: String
    /// As RFC 8265 prepares it.
    public let name: String
    /// What services need to know of them, at the top level of their tokens.
    public let claims: JSONObject
    /// The scopes they may ask for.
    public let scopes: [String]
    public let createdAt: Instant
    public let disabledAt: Instant?
    let passwordHash: String
    /// The claims as they are stored.
    let claimsText: String
    /// Grows with each change of the password or of being enabled: a log-in that began before it doesn't count.
    let credentialVersion: Int64

    static let columns = "id, name, claims, scopes, created_at, disabled_at, password_hash, credential_version"

    init(_ row: Row) throws {
        id = try row.text("id")
        name = try row.text("name")
        claimsText = try row.text("claims")
        claims = try ClaimRules.claims(stored: claimsText)
        scopes = try row.text("scopes").split(separator: " ").map(String.init)
        createdAt = Instant(microseconds: try row.integer("created_at"))
        disabledAt = try row.optionalInteger("disabled_at").map(Instant.init(microseconds:))
        passwordHash = try row.text("password_hash")
        credentialVersion = try row.integer("credential_version")
    }
}

/// What a user's own claims and scopes may be.
public enum ClaimRules {
    /// The names that tokens use themselves (RFC 7519 section 4.1, RFC 8693, RFC 9068, the Token Status List draft).
    public static let registeredNames: Set<String> = [
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "status", "act", "may_act", "cnf",
    ]

    /// The largest size of a user's claims, in bytes of JSON: a token has to stay well under 16 KiB.
    public static let maximumSize = 4096

    /// Reads `KEY=JSON` texts.
    ///
    /// - Throws: ``ServiceError`` with status 64 for a registered name, a value that isn't JSON, or too much of it.
    public static func claims(_ texts: [String]) throws -> JSONObject {
        var claims = JSONObject()
        for text in texts {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ServiceError(
                    .usage, "--claim \(text): write it as KEY=JSON, for example plan='\"gold\"' or premium=true")
            }
            let name = String(text[..<equals])
            let value = text[text.index(after: equals)...]
            guard !isRegistered(name) else {
                throw ServiceError(.usage, "--claim \(name): tokens use this name themselves; choose another one")
            }
            guard claims[name] == nil else { throw ServiceError(.usage, "--claim \(name) is there twice") }
            do {
                claims[name] = try JSONValue(json: value.utf8)
            } catch {
                throw ServiceError(
                    .usage, "--claim \(name): the value isn't JSON; a text needs quotes: --claim '\(name)=\"\(value)\"'"
                )
            }
        }
        return try checkSize(claims)
    }

    static func checkSize(_ claims: JSONObject) throws(ServiceError) -> JSONObject {
        guard claims.json.count <= maximumSize else {
            throw ServiceError(.usage, "the claims are over \(maximumSize) bytes, too much for a token")
        }
        return claims
    }

    /// Scope tokens (RFC 6749 section 3.3), each once.
    ///
    /// - Parameter option: what an error calls a scope.
    /// - Throws: ``ServiceError`` with status 64 for a text that isn't one, or too much of it.
    public static func scopes(_ texts: [String], called option: String = "--scope") throws(ServiceError) -> [String] {
        var scopes: [String] = []
        for text in texts where !scopes.contains(text) {
            guard isScope(text) else {
                throw ServiceError(
                    .usage, "\(option) \(text): a scope is printable ASCII without spaces, quotes and backslashes")
            }
            scopes.append(text)
        }
        guard scopes.joined(separator: " ").count <= maximumSize / 2 else {
            throw ServiceError(.usage, "the scopes are over \(maximumSize / 2) bytes, too much for a token")
        }
        return scopes
    }

    static func isScope(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
    }

    /// The first claim that tokens use themselves.
    static func registeredName(in claims: JSONObject) -> String? {
        claims.members.first { isRegistered($0.name) }?.name
    }

    /// A user's own claims as tokens say them.
    static func claims(stored text: String) throws -> JSONObject {
        withoutRegistered(try JSONObject(json: text.utf8))
    }

    /// The claims of a token that are its user's own.
    static func withoutRegistered(_ claims: JSONObject) -> JSONObject {
        var claims = claims
        for member in claims.members where isRegistered(member.name) { claims[member.name] = nil }
        return claims
    }

    /// In any letter case: some verifiers, those in Go among them, take `Aud` for `aud`.
    private static func isRegistered(_ name: String) -> Bool { registeredNames.contains(name.lowercased()) }
}

extension [String] {
    /// Whether each of these is one of some others, by its bytes.
    func areAmong(_ others: [String]) -> Bool { allSatisfy { text in others.contains { $0.isSpelt(text) } } }
}
