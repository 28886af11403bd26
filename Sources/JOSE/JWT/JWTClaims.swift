/// The claims of a JWT (RFC 7519 section 4), registered and others.
public struct JWTClaims: Hashable, Sendable {
    /// All claims.
    public let members: JSONObject

    /// The `iss`: who made it.
    public let issuer: String?
    /// The `sub`: whom it is about.
    public let subject: String?
    /// The `aud`: for whom it is. A single string counts as a list of one.
    public let audiences: [String]
    /// The `exp`: from then on it isn't good.
    public let expiresAt: Instant?
    /// The `nbf`: before then it isn't good yet.
    public let notBefore: Instant?
    /// The `iat`: when it was made.
    public let issuedAt: Instant?
    /// The `jti`: its own name.
    public let jwtID: String?

    /// Reads a payload.
    ///
    /// - Throws: ``JOSEError`` `malformed` where it isn't an object, or a registered claim is of a wrong type.
    public init(json: some Collection<UInt8>) throws { try self.init(JSONObject(json: json)) }

    /// Reads claims that are JSON already.
    ///
    /// - Throws: ``JOSEError`` `malformed` where a registered claim is of a wrong type.
    public init(_ members: JSONObject) throws {
        self.members = members
        issuer = try members.text("iss")
        subject = try members.text("sub")
        jwtID = try members.text("jti")
        expiresAt = try members.numericDate("exp")
        notBefore = try members.numericDate("nbf")
        issuedAt = try members.numericDate("iat")
        switch members["aud"] {
        case nil: audiences = []
        case .string(let audience): audiences = [audience]
        case let value?:
            guard let list = value.strings else { throw JOSEError(.malformed, "an aud that isn't text") }
            audiences = list
        }
    }
}

extension JSONObject {
    fileprivate func text(_ name: String) throws -> String? {
        guard let value = self[name] else { return nil }
        guard let text = value.string else { throw JOSEError(.malformed, "a claim \(name) that isn't a string") }
        return text
    }

    /// Seconds since 1970, perhaps with a fraction (RFC 7519 section 2).
    fileprivate func numericDate(_ name: String) throws -> Instant? {
        // Beyond this microseconds don't fit, nor does any calendar.
        let range = 0...253_402_300_799.0
        switch self[name] {
        case nil: return nil
        case .integer(let seconds) where range.contains(Double(seconds)): return Instant(seconds: seconds)
        case .number(let seconds) where range.contains(seconds):
            return Instant(microseconds: Int64((seconds * 1_000_000).rounded()))
        default: throw JOSEError(.malformed, "a claim \(name) that isn't a NumericDate")
        }
    }
}
