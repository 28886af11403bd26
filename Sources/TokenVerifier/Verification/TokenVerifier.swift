public import JOSE
internal import Metrics

/// Verifies access tokens: form, signature, claims (RFC 7519, RFC 8725, RFC 9068) and status (Token Status List draft).
///
/// `Claims` is the caller's own type for the claims, or ``NoClaims``. It is a value to be made once and shared. A token that
/// was verified before costs a hash and a look whether it has expired, its key is still published and its status is still
/// valid.
public struct TokenVerifier<Claims: Decodable & Sendable>: Sendable {
    private let checks: TokenChecks
    private let outcomes = Outcomes()

    /// What becomes of tokens whose status can't be had.
    public enum StatusPolicy: Sendable {
        /// They can't be verified: ``VerifierUnavailable``.
        case require
        /// They are accepted until they expire.
        case allowUntilExpiry
    }

    /// A verifier with parts of one's own choice.
    ///
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
        checks = TokenChecks(
            policy: policy, keys: keys, statuses: statuses, needsStatus: statusPolicy == .require,
            cacheCapacity: cacheCapacity, now: now, decode: VerifiedToken<Claims>.decode)
    }

    /// A verifier of an issuer's tokens for an audience: its metadata say where the keys are, its tokens where their
    /// status is.
    ///
    /// It asks nobody before it gets a token.
    ///
    /// - Parameters:
    ///   - issuer: the `iss` of its tokens, an https URL.
    ///   - audience: what has to be in `aud`.
    ///   - requiredScopes: what has to be in `scope`, all of them.
    /// - Throws: ``VerifierUnavailable`` for an issuer that isn't https, unless it is on this machine.
    public init(issuer: String, audience: String, requiredScopes: [String] = []) throws {
        let keys = try RemoteKeySource(issuer: issuer)
        self.init(
            policy: JWTPolicy(issuer: issuer, audiences: [audience], requiredScopes: requiredScopes), keys: keys,
            statuses: RemoteStatusLists(issuer: issuer, keys: keys))
    }

    /// Verifies a token.
    ///
    /// - Parameter token: the compact serialisation, at most 16 KiB (`JWS.maximumTokenSize`).
    /// - Returns: the token, or why it was rejected; a rejection is never thrown.
    /// - Throws: ``VerifierUnavailable`` where nothing can be said of it now.
    public func verify(_ token: some StringProtocol) async throws -> Verification<Claims> {
        do {
            guard token.utf8.count <= JWS.maximumTokenSize else {
                throw TokenRejection(.malformed, "a token over \(JWS.maximumTokenSize) bytes")
            }
            let accepted = try await checks.accept(Array(String(token).utf8))
            outcomes.accepted.increment()
            return .accepted(VerifiedToken(accepted))
        } catch let rejection as TokenRejection {
            outcomes.rejected.increment()
            return .rejected(rejection)
        } catch let error as JOSEError {
            outcomes.rejected.increment()
            return .rejected(TokenRejection(error))
        }
    }
}

/// How many tokens were accepted and rejected, for the metrics.
private struct Outcomes: Sendable {
    let accepted = Counter(label: "token_verifier_tokens", dimensions: [("result", "accepted")])
    let rejected = Counter(label: "token_verifier_tokens", dimensions: [("result", "rejected")])
}
