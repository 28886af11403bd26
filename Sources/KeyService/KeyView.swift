public import JOSE

/// The keys between two changes of any key's state: all that a request needs, made once.
public final class KeyView: Sendable {
    /// The JWKS document.
    public let jwks: [UInt8]
    /// Its strong entity tag, with quotes.
    public let entityTag: String
    /// The published keys, for verification.
    public let keySet: JWKSet
    /// The keys that sign, the preferred first.
    private let signingKeys: [SigningKey]

    private let since: Instant
    private let until: Instant?

    init(ring: KeyRing, privateKeys: [KeyID: PrivateKey], _ schedule: KeySchedule, at now: Instant) throws {
        keySet = JWKSet(
            ring.published(at: now).sorted { ($0.createdAt, $0.keyID) > ($1.createdAt, $1.keyID) }.map(\.jwk))
        jwks = try keySet.json()
        entityTag = "\"\(Base64URL.encode(try SHA256.hash(jwks).prefix(16)))\""
        // A removed algorithm signs on until a configured one has a key that verifiers know.
        let candidates = ring.signing(schedule.algorithms + Algorithm.table, at: now)
        signingKeys = try candidates.compactMap { record -> SigningKey? in
            guard let latestExpiry = record.latestExpiry, let key = privateKeys[record.keyID] else { return nil }
            func signer(_ type: String) throws -> JWSSigner {
                try JWSSigner(key: key, keyID: record.keyID, algorithm: record.algorithm, type: type)
            }
            return try SigningKey(
                accessTokens: signer("at+jwt"), statusLists: signer("statuslist+jwt"),
                longestTokenLifetime: record.longestTokenLifetime, latestExpiry: latestExpiry)
        }
        since = now
        until = ring.nextChange(after: now)
    }

    /// Signs log-in tokens: the first configured algorithm that has an active key; `nil` while none has.
    public var signingKey: SigningKey? { signingKeys.first }

    /// The key that signs with an algorithm; `nil` while none does.
    public func signingKey(for algorithm: Algorithm) -> SigningKey? {
        signingKeys.first { $0.accessTokens.algorithm == algorithm }
    }

    /// Whether nothing changes between the instant this was made for and another one.
    func holds(at now: Instant) -> Bool { now >= since && until.map { now < $0 } ?? true }
}

/// A key that signs now. An object, so that handing it on counts one reference.
public final class SigningKey: Sendable {
    /// Signs access tokens: `typ` is `at+jwt` (RFC 9068).
    public let accessTokens: JWSSigner
    /// Signs status lists: `typ` is `statuslist+jwt`.
    public let statusLists: JWSSigner
    private let longestTokenLifetime: Duration
    private let latestExpiry: Instant

    init(accessTokens: JWSSigner, statusLists: JWSSigner, longestTokenLifetime: Duration, latestExpiry: Instant) {
        self.accessTokens = accessTokens
        self.statusLists = statusLists
        self.longestTokenLifetime = longestTokenLifetime
        self.latestExpiry = latestExpiry
    }

    /// Its `kid`.
    public var keyID: KeyID { accessTokens.keyID }

    /// The longest lifetime of a token that is signed at an instant: the key leaves the JWKS once the last of its tokens has
    /// expired, as far as its record tells. Zero or less where the clock has left behind what was recorded.
    public func longestTokenLifetime(at now: Instant) -> Duration { min(longestTokenLifetime, latestExpiry - now) }
}
