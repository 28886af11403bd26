/// One kind of work that is measured: a row of a table.
public enum Work: String, CaseIterable, Sendable {
    case cSignReinitialised = "C: sign, one EVP_MD_CTX re-initialised"
    case cSignHashFirst = "C: sign, hash first, one EVP_PKEY_CTX"
    case signature = "JOSE: a signature"
    case signedJWS = "JOSE: a compact JWS of ready claims"
    case token = "the issuer's whole token"
    case cjoseSign = "cjose: a compact JWS of ready claims"
    case jwtKitSign = "jwt-kit: claims to token"

    case cVerifyReinitialised = "C: verify, one EVP_MD_CTX re-initialised"
    case cVerifyHashFirst = "C: verify, hash first, one EVP_PKEY_CTX"
    case verifiedSignature = "JOSE: a signature verified"
    case verifiedJWS = "JOSE: a compact JWS read and verified"
    case firstSeen = "the verifier, first seen"
    case firstSeenDecoded = "the verifier, first seen, claims of one's own"
    case seenBefore = "the verifier, seen before"
    case cjoseVerify = "cjose: a compact JWS read and verified"
    case jwtKitVerify = "jwt-kit: token to claims"

    /// The two ways to the physical limit; the faster one counts.
    public static let cSign: [Work] = [.cSignReinitialised, .cSignHashFirst]
    public static let cVerify: [Work] = [.cVerifyReinitialised, .cVerifyHashFirst]
}

/// Does a kind of work so many times. For one thread: where the work needs a context, this holds it.
public typealias Worker = @Sendable (_ count: Int) async throws -> Void

/// Work that didn't come out right.
public struct WorkFailed: Error {
    public let what: String

    public init(_ what: String) { self.what = what }
}
