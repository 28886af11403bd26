internal import JOSE

/// What a ``TokenVerifier`` does, whatever type the claims are decoded into: generic code isn't specialised for other
/// modules, and slow then.
final class TokenChecks: Sendable {
    private let policy: JWTPolicy
    private let keys: any KeySource
    private let statuses: (any StatusSource)?
    private let needsStatus: Bool
    private let decode: @Sendable (_ payload: [UInt8]) throws -> any Sendable
    private let headers = KnownHeaders()
    private let cache: AcceptedTokenCache
    private let now: @Sendable () -> Instant

    /// - Parameters:
    ///   - needsStatus: whether tokens whose status can't be had are refused.
    ///   - decode: makes the caller's own view of the claims, or throws a ``TokenRejection``.
    init(
        policy: JWTPolicy, keys: any KeySource, statuses: (any StatusSource)?, needsStatus: Bool, cacheCapacity: Int,
        now: @escaping @Sendable () -> Instant, decode: @escaping @Sendable (_ payload: [UInt8]) throws -> any Sendable
    ) {
        self.policy = policy
        self.keys = keys
        self.statuses = statuses
        self.needsStatus = needsStatus
        self.decode = decode
        cache = AcceptedTokenCache(capacity: cacheCapacity)
        self.now = now
    }

    /// Checks a token of at most ``JWS/maximumTokenSize`` bytes.
    ///
    /// - Throws: ``TokenRejection``, `JOSEError`, ``VerifierUnavailable``.
    func accept(_ token: [UInt8]) async throws -> AcceptedToken {
        let digest = try SHA256.digest(token)
        let keys = try await keys.keys()
        let instant = now()
        guard let known = cache.token(digest, at: instant) else { return try await acceptUnseen(token, digest, keys) }
        guard known.signed.keys === keys || keys.contains(known.signed.key) else {
            cache.remove(digest)
            return try await acceptUnseen(token, digest, keys)
        }
        guard policy.isCurrent(known.claims, at: instant) else {
            cache.remove(digest)
            throw TokenRejection(.expired, "an expired token")
        }
        try await checkStatus(known.status)
        if known.signed.keys !== keys { cache.insert(known.found(in: keys), digest, at: instant) }
        return known
    }

    private func acceptUnseen(_ token: [UInt8], _ digest: SHA256.Digest, _ keys: PublishedKeys) async throws
        -> AcceptedToken
    {
        let accepted: AcceptedToken
        do {
            accepted = try acceptButForStatus(token, keys)
        } catch let error as JOSEError where error.code == .unknownKey {
            // A key that was published a moment ago; whoever makes kids up has it looked for now and then only.
            guard let newer = await self.keys.keysLookingAgain() else { throw error }
            accepted = try acceptButForStatus(token, newer)
        }
        try await checkStatus(accepted.status)
        cache.insert(accepted, digest, at: now())
        return accepted
    }

    /// All that needs no waiting.
    private func acceptButForStatus(_ token: [UInt8], _ keys: PublishedKeys) throws -> AcceptedToken {
        let (jws, signed) = try verifiedSignature(of: CompactJWS(token), with: keys)
        let claims = try JWTClaims(json: jws.payload)
        try policy.check(claims, header: jws.header, at: now())
        if let missing = policy.missingScope(claims) {
            throw TokenRejection(.insufficientScope, "a token without the scope \(missing)")
        }
        let status = claims.members["status"]
        let reference = StatusListReference(claim: status)
        if status != nil, reference == nil, statuses != nil {
            throw TokenRejection(.claimRefused, "a status that names no place in a list")
        }
        return AcceptedToken(
            signed: signed, claims: claims, payload: jws.payload, custom: try decode(jws.payload), status: reference)
    }

    private func verifiedSignature(of parts: CompactJWS, with keys: PublishedKeys) throws -> (JWS, KnownHeader) {
        if let known = headers.header(parts.header, in: keys) {
            let jws = try JWS(parts, header: known.header)
            try jws.verify(with: known.key)
            return (jws, known)
        }
        let jws = try JWS(parts)
        try policy.check(jws.header)
        let signed = KnownHeader(jws.header, signedWith: try jws.verify(with: keys.set), of: keys)
        // Where several keys may be meant, each token has to find its own.
        if keys.set.keys(for: jws.header).count == 1 { headers.insert(signed, parts.header) }
        return (jws, signed)
    }

    private func checkStatus(_ reference: StatusListReference?) async throws {
        guard let statuses, let reference else { return }
        do {
            guard let status = try await statuses.status(at: reference) else {
                throw TokenRejection(.claimRefused, "a status that names no list of the issuer")
            }
            guard status == 0 else { throw TokenRejection(.revoked, "its status is \(status)") }
        } catch let error as VerifierUnavailable {
            if needsStatus { throw error }
        }
    }
}
