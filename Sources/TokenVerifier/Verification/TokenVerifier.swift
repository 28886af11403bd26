public import JOSE
internal import Metrics

/// Verifies access tokens: form, signature, claims (RFC 7519, RFC 8725, RFC 9068) and status (Token Status List draft).
///
/// `Claims` is the caller's own type for the claims, or ``NoClaims``. It is a value to be made once and shared. A token that was verified before costs a hash and a look whether it has
/// expired, its key is still published and its status is still valid.
public struct TokenVerifier<Claims: Decodable & Sendable>: Sendable {
    private let policy: JWTPolicy
    private let keys: any KeySource
    private let statuses: (any StatusSource)?
    private let statusPolicy: StatusPolicy
    private let cache: VerifiedTokenCache<Claims>
    private let now: @Sendable () -> Instant
    private let outcomes = Outcomes()

    /// What becomes of tokens whose status can't be had.
    public enum StatusPolicy: Sendable {
        /// They can't be verified: ``VerifierUnavailable``.
        case require
        /// They are accepted until they expire.
        case allowUntilExpiry
    }

    /// - Parameters:
    ///   - policy: what a token has to say.
    ///   - keys: the issuer's public keys.
    ///   - statuses: tells which tokens were ended; `nil` to accept every token until it expires.
    ///   - statusPolicy: what becomes of tokens whose status can't be had.
    ///   - cacheCapacity: how many verified tokens are remembered; 0 for none.
    public init(
        policy: JWTPolicy, keys: any KeySource, statuses: (any StatusSource)?,
        statusPolicy: StatusPolicy = .require, cacheCapacity: Int = 10_000
    ) {
        self.init(
            policy: policy, keys: keys, statuses: statuses, statusPolicy: statusPolicy,
            cacheCapacity: cacheCapacity, now: systemClock)
    }

    package init(
        policy: JWTPolicy, keys: any KeySource, statuses: (any StatusSource)?, statusPolicy: StatusPolicy = .require,
        cacheCapacity: Int = 10_000, now: @escaping @Sendable () -> Instant
    ) {
        self.policy = policy
        self.keys = keys
        self.statuses = statuses
        self.statusPolicy = statusPolicy
        cache = VerifiedTokenCache(capacity: cacheCapacity)
        self.now = now
    }

    /// A verifier of an issuer's tokens for an audience: its metadata say where the keys are, its tokens where their
    /// status is.
    ///
    /// - Throws: ``VerifierUnavailable`` for an issuer that isn't https, unless it is on this machine.
    public init(issuer: String, audience: String, requiredScopes: [String] = []) throws {
        let keys = try RemoteKeySource(issuer: issuer)
        self.init(
            policy: JWTPolicy(issuer: issuer, audiences: [audience], requiredScopes: requiredScopes), keys: keys,
            statuses: RemoteStatusLists(issuer: issuer, keys: keys))
    }

    /// Verifies a token.
    ///
    /// - Parameter token: the compact serialisation, at most ``JWS/maximumTokenSize`` bytes.
    /// - Throws: ``VerifierUnavailable`` where nothing can be said of it now.
    public func verify(_ token: some StringProtocol) async throws -> Verification<Claims> {
        do {
            let accepted = try await check(token.utf8)
            outcomes.accepted.increment()
            return .accepted(accepted)
        } catch let rejection as TokenRejection {
            outcomes.rejected.increment()
            return .rejected(rejection)
        } catch let error as JOSEError {
            outcomes.rejected.increment()
            return .rejected(TokenRejection(error))
        }
    }

    private func check(_ token: some Collection<UInt8>) async throws -> VerifiedToken<Claims> {
        guard token.count <= JWS.maximumTokenSize else {
            throw TokenRejection(.malformed, "a token over \(JWS.maximumTokenSize) bytes")
        }
        let digest = try SHA256.digest(token)
        let keys = try await keys.keys()
        if let entry = cache.entry(digest) {
            if entry.keys === keys || keys.contains(entry.key) {
                guard policy.isCurrent(entry.token.claims, at: now()) else {
                    cache.remove(digest)
                    throw TokenRejection(.expired, "an expired token")
                }
                try await checkStatus(entry.status)
                if entry.keys !== keys {
                    cache.insert(.init(token: entry.token, key: entry.key, keys: keys, status: entry.status), digest)
                }
                return entry.token
            }
            cache.remove(digest)
        }
        return try await checkUnseen(token, digest, keys)
    }

    private func checkUnseen(_ token: some Collection<UInt8>, _ digest: SHA256.Digest, _ keys: PublishedKeys)
        async throws
        -> VerifiedToken<Claims>
    {
        let jws = try JWS(compact: token)
        try policy.check(jws.header)
        var keys = keys
        // A key that was published a moment ago; whoever makes kids up has it looked for now and then only.
        if !keys.hasKey(for: jws.header), let newer = await self.keys.keysLookingAgain() { keys = newer }
        let key = try jws.verify(with: keys.set)
        let claims = try JWTClaims(json: jws.payload)
        try policy.check(claims, header: jws.header, at: now())
        if let missing = policy.missingScope(claims) {
            throw TokenRejection(.insufficientScope, "a token without the scope \(missing)")
        }
        let verified: VerifiedToken<Claims>
        do {
            verified = try VerifiedToken(jws, claims)
        } catch is DecodingError {
            throw TokenRejection(.claimRefused, "claims that aren't of the type \(Claims.self)")
        }
        let reference = StatusListReference(claim: claims.members["status"])
        if claims.members["status"] != nil, reference == nil, statuses != nil {
            throw TokenRejection(.claimRefused, "a status that names no place in a list")
        }
        try await checkStatus(reference)
        cache.insert(.init(token: verified, key: key, keys: keys, status: reference), digest)
        return verified
    }

    private func checkStatus(_ reference: StatusListReference?) async throws {
        guard let statuses, let reference else { return }
        do {
            guard let status = try await statuses.status(at: reference) else {
                throw TokenRejection(.claimRefused, "a status that names no list of the issuer")
            }
            guard status == 0 else { throw TokenRejection(.revoked, "its status is \(status)") }
        } catch let error as VerifierUnavailable {
            if statusPolicy == .require { throw error }
        }
    }
}

/// How many tokens were accepted and rejected, for the metrics.
private struct Outcomes: Sendable {
    let accepted = Counter(label: "token_verifier_tokens", dimensions: [("result", "accepted")])
    let rejected = Counter(label: "token_verifier_tokens", dimensions: [("result", "rejected")])
}
