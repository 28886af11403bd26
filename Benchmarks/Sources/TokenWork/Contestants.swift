internal import CBaseline
internal import CJoseInC
internal import Foundation
public import JOSE
internal import JWTKit
internal import TokenService
internal import TokenVerifier

/// All the kinds of work with keys of one algorithm, on the same tokens: they differ in their `jti` and signature.
public struct Contestants: Sendable {
    public let algorithm: JOSE.Algorithm
    private let issuer: Issuer
    private let logIns: LogInWork
    private let signer: JWSSigner
    private let jwk: JOSE.JWK
    private let tokens: [SampleToken]
    private let jwtKitKeys: JWTKeyCollection

    init(_ algorithm: JOSE.Algorithm, of issuer: Issuer, tokenCount: Int) async throws {
        self.algorithm = algorithm
        self.issuer = issuer
        guard let key = issuer.privateKeys[algorithm] else { throw WorkFailed("no key for \(algorithm)") }
        let keyID = try key.publicKey.thumbprint()
        logIns = issuer.logIns(algorithm)
        signer = try JWSSigner(key: key, keyID: keyID, algorithm: algorithm, type: "at+jwt")
        jwk = JOSE.JWK(key, keyID: keyID, algorithm: algorithm)
        let logIns = logIns
        tokens = try (0..<tokenCount).map { _ in
            try SampleToken(logIns.accessToken(at: Instant(Date())))
        }
        jwtKitKeys = JWTKeyCollection()
        let pem = try key.pkcs8PEM()
        let kid = JWKIdentifier(string: keyID.rawValue)
        if algorithm == .es256 {
            await jwtKitKeys.add(ecdsa: try ES256PrivateKey(pem: pem), kid: kid)
        } else {
            await jwtKitKeys.add(rsa: try Insecure.RSA.PrivateKey(pem: pem), digestAlgorithm: .sha256, kid: kid)
        }
    }

    /// Lets the issuer's keys go on signing.
    public func refresh() async throws { try await issuer.refresh() }

    /// So few tokens are remembered of those that go round that each is new when its turn comes again.
    private var remembered: Int { tokens.count / 2 }

    /// A worker for one thread.
    public func worker(_ work: Work) async throws -> Worker {
        switch work {
        case .cSignReinitialised: try signing(CBaselineReinitialised)
        case .cSignHashFirst: try signing(CBaselineHashFirst)
        case .cVerifyReinitialised: try verifying(CBaselineReinitialised)
        case .cVerifyHashFirst: try verifying(CBaselineHashFirst)
        case .signature: signature()
        case .signedJWS: signedJWS()
        case .token: token()
        case .verifiedSignature: verifiedSignature()
        case .verifiedJWS: verifiedJWS()
        case .firstSeen: try verifier(NoClaims.self, remembered: remembered, among: tokens)
        case .firstSeenDecoded: try verifier(OwnClaims.self, remembered: remembered, among: tokens)
        case .seenBefore: try verifier(NoClaims.self, remembered: 10_000, among: Array(tokens.prefix(64)))
        case .cjoseSign: try cjoseSign()
        case .cjoseVerify: try cjoseVerify()
        case .jwtKitSign: jwtKitSign()
        case .jwtKitVerify: jwtKitVerify()
        }
    }
}

/// A token and what some kinds of work want of it, made beforehand.
private struct SampleToken: Sendable {
    let text: String
    let signingInput: [UInt8]
    let payload: [UInt8]
    let signature: [UInt8]

    init(_ text: String) throws {
        self.text = text
        let parts = text.split(separator: ".").map(String.init)
        signingInput = Array("\(parts[0]).\(parts[1])".utf8)
        payload = try Base64URL.decode(parts[1])
        signature = try Base64URL.decode(parts[2])
    }
}

/// Numbers from 0 on, for what goes round a list; a worker is used by one task at a time.
private final class Turn: @unchecked Sendable {
    private var last = -1

    func next(of count: Int) -> Int {
        last = last + 1 < count ? last + 1 : 0
        return last
    }
}

// MARK: - The C loop

/// One thread's.
private final class Baseline: @unchecked Sendable {
    let handle: OpaquePointer

    init(_ key: PrivateKey, _ tokens: [SampleToken]) throws {
        guard let handle = CBaseline_make(try key.pkcs8PEM()) else { throw WorkFailed("the C loop can't read the key") }
        self.handle = handle
        for token in tokens where CBaseline_add(handle, token.signingInput, token.signingInput.count) != 1 {
            throw WorkFailed("the C loop can't sign")
        }
    }

    deinit { CBaseline_free(handle) }
}

extension Contestants {
    private func baseline() throws -> Baseline { try Baseline(issuer.privateKeys[algorithm]!, tokens) }

    private func signing(_ way: CBaselineWay) throws -> Worker {
        let baseline = try baseline()
        return { count in
            guard CBaseline_sign(baseline.handle, way, count) == 1 else { throw WorkFailed("the C loop can't sign") }
        }
    }

    private func verifying(_ way: CBaselineWay) throws -> Worker {
        let baseline = try baseline()
        return { count in
            guard CBaseline_verify(baseline.handle, way, count) == 1 else {
                throw WorkFailed("the C loop can't verify")
            }
        }
    }
}

// MARK: - This package

extension Contestants {
    private func signature() -> Worker {
        let (key, algorithm, tokens, turn) = (issuer.privateKeys[algorithm]!, algorithm, tokens, Turn())
        return { count in
            for _ in 0..<count {
                _ = try key.signature(of: tokens[turn.next(of: tokens.count)].signingInput, algorithm: algorithm)
            }
        }
    }

    private func signedJWS() -> Worker {
        let (signer, tokens, turn) = (signer, tokens, Turn())
        return { count in
            for _ in 0..<count { _ = try signer.sign(tokens[turn.next(of: tokens.count)].payload) }
        }
    }

    private func token() -> Worker {
        let logIns = logIns
        return { count in
            for _ in 0..<count { _ = try logIns.accessToken(at: Instant(Date())) }
        }
    }

    private func verifiedSignature() -> Worker {
        let (key, algorithm, tokens, turn) = (jwk.publicKey, algorithm, tokens, Turn())
        return { count in
            for _ in 0..<count {
                let token = tokens[turn.next(of: tokens.count)]
                let isValid = try key.isValidSignature(
                    token.signature, of: token.signingInput, algorithm: algorithm)
                guard isValid else { throw WorkFailed("JOSE refuses a signature") }
            }
        }
    }

    private func verifiedJWS() -> Worker {
        let (jwk, tokens, turn) = (jwk, tokens, Turn())
        return { count in
            for _ in 0..<count { try JWS(compact: tokens[turn.next(of: tokens.count)].text).verify(with: jwk) }
        }
    }

    /// A verifier that fetches keys and status lists from the issuer, and every token that the worker is asked for.
    private func verifier<Claims: Decodable & Sendable>(
        _: Claims.Type, remembered: Int, among tokens: [SampleToken]
    ) throws -> Worker {
        let keys = try RemoteKeySource(issuer: issuer.url, logger: Issuer.quiet)
        let verifier = TokenVerifier<Claims>(
            policy: JWTPolicy(issuer: issuer.url, audiences: [issuer.url], requiredClaims: ["sub"]), keys: keys,
            statuses: RemoteStatusLists(issuer: issuer.url, keys: keys, logger: Issuer.quiet),
            cacheCapacity: remembered)
        let turn = Turn()
        return { count in
            for _ in 0..<count {
                _ = try await verifier.verify(tokens[turn.next(of: tokens.count)].text).get()
            }
        }
    }

    /// What a service wants to know.
    private struct OwnClaims: Decodable, Sendable {
        let plan: String
        let premium: Bool
    }
}

// MARK: - cjose

private final class CJose: @unchecked Sendable {
    let handle: OpaquePointer

    init(_ jwk: JOSE.JWK, _ signer: JWSSigner) throws {
        let text = try jwk.privateMembers().jsonText
        let handle = CJoseInC_make(text, text.utf8.count, signer.algorithm.name, signer.keyID.rawValue, "at+jwt")
        guard let handle else { throw WorkFailed("cjose can't read the key") }
        self.handle = handle
    }

    deinit { CJoseInC_free(handle) }
}

extension Contestants {
    private func cjoseSign() throws -> Worker {
        let (cjose, payload) = (try CJose(jwk, signer), tokens[0].payload)
        return { count in
            guard CJoseInC_sign(cjose.handle, payload, payload.count, count) == 1 else {
                throw WorkFailed("cjose can't sign")
            }
        }
    }

    private func cjoseVerify() throws -> Worker {
        let cjose = try CJose(jwk, signer)
        let (texts, turn) = (tokens.map { Array($0.text.utf8CString) }, Turn())
        return { count in
            for _ in 0..<count {
                let text = texts[turn.next(of: texts.count)]
                guard CJoseInC_verify(cjose.handle, text, text.count - 1) == 1 else {
                    throw WorkFailed("cjose refuses a token")
                }
            }
        }
    }
}

// MARK: - jwt-kit

/// The same claims as the issuer's.
private struct JWTKitClaims: JWTPayload {
    struct Status: Codable, Sendable {
        struct Place: Codable, Sendable {
            let idx: Int
            let uri: String
        }
        let status_list: Place
    }

    let iss: IssuerClaim
    let sub: SubjectClaim
    let aud: AudienceClaim
    let client_id: String
    // Whole seconds, as the issuer has them.
    let iat: Int64
    let exp: Int64
    let jti: IDClaim
    let scope: String
    let sid: String
    let status: Status
    let plan: String
    let premium: Bool

    func verify(using algorithm: some JWTAlgorithm) throws {
        guard exp > Int64(Date().timeIntervalSince1970) else { throw WorkFailed("expired") }
        try aud.verifyIntendedAudience(includes: iss.value)
    }
}

extension Contestants {
    private func jwtKitSign() -> Worker {
        let (keys, token, kid) = (jwtKitKeys, tokens[0], JWKIdentifier(string: signer.keyID.rawValue))
        let header: JWTHeader = ["typ": "at+jwt"]
        return { count in
            let claims = try JSONDecoder().decode(JWTKitClaims.self, from: Data(token.payload))
            for _ in 0..<count { _ = try await keys.sign(claims, kid: kid, header: header) }
        }
    }

    private func jwtKitVerify() -> Worker {
        let (keys, tokens, turn) = (jwtKitKeys, tokens, Turn())
        return { count in
            for _ in 0..<count {
                _ = try await keys.verify(tokens[turn.next(of: tokens.count)].text, as: JWTKitClaims.self)
            }
        }
    }
}
