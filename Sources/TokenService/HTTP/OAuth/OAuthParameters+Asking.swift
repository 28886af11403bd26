internal import Foundation
internal import JOSE

/// What a client asks for, of what it may have.
extension OAuthParameters {
    /// The scopes that are named (RFC 6749 section 3.3).
    func scopes() throws -> [String]? {
        guard let scopes = self["scope"]?.words else { return nil }
        guard !scopes.isEmpty else { throw APIError.invalidScope("a scope without a letter") }
        return scopes
    }

    /// The scopes; all that there are where none are named.
    ///
    /// - Throws: ``APIError`` `invalid_scope`.
    func scopes(among allowed: [String]) throws -> [String] {
        guard let asked = try scopes() else { return allowed }
        guard asked.areAmong(allowed) else { throw APIError.invalidScope("a scope that can't be had") }
        return allowed.filter { [$0].areAmong(asked) }
    }

    /// The audiences, by `resource` (RFC 8707 section 2) or `audience` (RFC 8693 section 2.1); the first that there is
    /// where none are named.
    ///
    /// - Throws: ``APIError`` `invalid_target`.
    func audiences(among allowed: [String]) throws -> [String] {
        let resources = values("resource")
        let asked = resources + values("audience")
        guard !asked.isEmpty else { return Array(allowed.prefix(1)) }
        guard asked.areAmong(allowed) else { throw APIError.invalidTarget("an audience that can't be had") }
        guard resources.allSatisfy(Self.isResource) else {
            throw APIError.invalidTarget("a resource is an absolute URI without fragment; ask for others by audience")
        }
        return allowed.filter { [$0].areAmong(asked) }
    }

    private static func isResource(_ text: String) -> Bool {
        URLComponents(string: text).map { $0.scheme != nil && $0.fragment == nil } ?? false
    }
}
