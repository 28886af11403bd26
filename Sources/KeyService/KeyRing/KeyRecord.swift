public import JOSE

/// What is known of a key: instants that are written once, and three values that only grow.
public struct KeyRecord: Sendable {
    /// The `kid`, by which tokens name it.
    public let keyID: KeyID
    /// The RFC 7638 thumbprint; the same as ``keyID`` but for keys of another system.
    public let thumbprint: KeyID
    /// The one algorithm that it signs with.
    public let algorithm: Algorithm
    /// The public half.
    public let publicKey: PublicKey
    /// When it was made or imported, and so published.
    public let createdAt: Instant
    /// When it starts signing; `nil` for a key that only verifies.
    public let activatesAt: Instant?
    /// When a key that only verifies leaves the JWKS.
    public let publishedUntil: Instant?
    /// When it stops signing because its algorithm was removed.
    public var retiresAt: Instant?
    /// When it was revoked; it counts as revoked before that, too.
    public var revokedAt: Instant?
    /// What the operator said then.
    public var revocationReason: String?
    /// The longest lifetime of a token that it was ever meant to sign.
    public var longestTokenLifetime: Duration
    /// The latest reading of a clock at which it may have signed, raised ahead of the signing: a clock that ran ahead for a
    /// while leaves tokens that expire late. `nil` where it never signed.
    public var signedUntil: Instant?
    /// The longest time that verifiers were ever told to keep a JWKS with it.
    public var longestMaxAge: Duration
    /// Whether its private half is still stored.
    public internal(set) var hasPrivateKey: Bool

    /// A record of a new key pair.
    init(_ key: PrivateKey, algorithm: Algorithm, createdAt: Instant, activatesAt: Instant, schedule: KeySchedule)
        throws
    {
        thumbprint = try key.publicKey.thumbprint()
        keyID = thumbprint
        self.algorithm = algorithm
        publicKey = key.publicKey
        self.createdAt = createdAt
        self.activatesAt = activatesAt
        publishedUntil = nil
        longestTokenLifetime = schedule.tokenLifetime
        longestMaxAge = schedule.jwksMaxAge
        hasPrivateKey = true
    }

    /// A record of a key that only verifies.
    init(
        verifyOnly key: PublicKey, keyID: KeyID?, algorithm: Algorithm, createdAt: Instant, until: Instant,
        schedule: KeySchedule
    ) throws {
        thumbprint = try key.thumbprint()
        self.keyID = keyID ?? thumbprint
        self.algorithm = algorithm
        publicKey = key
        self.createdAt = createdAt
        activatesAt = nil
        publishedUntil = until
        longestTokenLifetime = .zero
        longestMaxAge = schedule.jwksMaxAge
        hasPrivateKey = false
    }

    /// What no token that it signs may outlive, as far as is recorded; `nil` for a key that only verifies.
    var latestExpiry: Instant? {
        activatesAt.map { max($0, signedUntil ?? $0) + longestTokenLifetime }
    }

    /// The key as the JWKS shows it.
    public var jwk: JWK { JWK(publicKey, keyID: keyID, algorithm: algorithm) }
}

// MARK: - Storing

extension KeyRecord {
    /// The record as stored; instants in microseconds since 1970, durations in microseconds.
    var members: JSONObject {
        get throws {
            var members: JSONObject = [
                "kid": .string(keyID.rawValue), "algorithm": .string(algorithm.name),
                "public_key": .object(try JWK(publicKey).publicMembers()),
                "created_at": .integer(createdAt.microseconds),
                "longest_token_lifetime": .integer(longestTokenLifetime.microseconds),
                "longest_max_age": .integer(longestMaxAge.microseconds),
            ]
            members["activates_at"] = activatesAt.map { .integer($0.microseconds) }
            members["published_until"] = publishedUntil.map { .integer($0.microseconds) }
            members["retires_at"] = retiresAt.map { .integer($0.microseconds) }
            members["signed_until"] = signedUntil.map { .integer($0.microseconds) }
            members["revoked_at"] = revokedAt.map { .integer($0.microseconds) }
            members["revocation_reason"] = revocationReason.map { .string($0) }
            return members
        }
    }

    /// - Throws: ``JOSEError`` `malformed`.
    init(members: JSONObject, hasPrivateKey: Bool) throws {
        func malformed(_ name: String) -> JOSEError { JOSEError(.malformed, "a key record without a valid \(name)") }
        func optionalNumber(_ name: String) throws -> Int64? {
            guard let value = members[name] else { return nil }
            guard let number = value.integer else { throw malformed(name) }
            return number
        }
        func number(_ name: String) throws -> Int64 {
            guard let number = try optionalNumber(name) else { throw malformed(name) }
            return number
        }
        guard let keyID = members["kid"]?.string.flatMap(KeyID.init) else { throw malformed("kid") }
        guard let algorithm = members["algorithm"]?.string else { throw malformed("algorithm") }
        guard let publicKey = members["public_key"]?.object else { throw malformed("public_key") }
        self.keyID = keyID
        self.algorithm = try Algorithm(named: algorithm)
        self.publicKey = try JWK(members: publicKey).publicKey
        thumbprint = try self.publicKey.thumbprint()
        createdAt = Instant(microseconds: try number("created_at"))
        activatesAt = try optionalNumber("activates_at").map(Instant.init(microseconds:))
        publishedUntil = try optionalNumber("published_until").map(Instant.init(microseconds:))
        retiresAt = try optionalNumber("retires_at").map(Instant.init(microseconds:))
        signedUntil = try optionalNumber("signed_until").map(Instant.init(microseconds:))
        revokedAt = try optionalNumber("revoked_at").map(Instant.init(microseconds:))
        revocationReason = members["revocation_reason"]?.string
        longestTokenLifetime = .microseconds(try number("longest_token_lifetime"))
        longestMaxAge = .microseconds(try number("longest_max_age"))
        self.hasPrivateKey = hasPrivateKey
    }
}
