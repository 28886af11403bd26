public import JOSE

/// The keys between two changes of any key's state: all that a request needs, made once.
public final class KeyView: Sendable {
    /// The JWKS document.
    public let jwks: [UInt8]
    /// Its strong entity tag, with quotes.
    public let entityTag: String
    /// The published keys, for verification.
    public let keySet: JWKSet
    /// Signs log-in tokens: the first configured algorithm that has an active key; `nil` while none has.
    public let signingKey: SigningKey?

    private let since: Instant
    private let until: Instant?

    init(ring: KeyRing, privateKeys: [KeyID: PrivateKey], _ schedule: KeySchedule, at now: Instant) throws {
        keySet = JWKSet(
            ring.published(at: now).sorted { ($0.createdAt, $0.keyID) > ($1.createdAt, $1.keyID) }.map(\.jwk))
        jwks = try keySet.json()
        entityTag = "\"\(Base64URL.encode(try SHA256.hash(jwks).prefix(16)))\""
        // A removed algorithm signs on until a configured one has a key that verifiers know.
        let algorithms = schedule.algorithms + Algorithm.table
        signingKey = try algorithms.lazy.compactMap { algorithm -> SigningKey? in
            guard let record = ring.active(algorithm, at: now), let key = privateKeys[record.keyID] else { return nil }
            return try SigningKey(
                signer: JWSSigner(key: key, keyID: record.keyID, algorithm: algorithm, type: "at+jwt"),
                longestTokenLifetime: record.longestTokenLifetime)
        }.first
        since = now
        until = ring.nextChange(after: now)
    }

    /// Whether nothing changes between the instant this was made for and another one.
    func holds(at now: Instant) -> Bool { now >= since && until.map { now < $0 } ?? true }
}

/// A key that signs now.
public struct SigningKey: Sendable {
    public let signer: JWSSigner
    /// No token may outlive this: the key leaves the JWKS so long after it stopped signing.
    public let longestTokenLifetime: Duration
}
