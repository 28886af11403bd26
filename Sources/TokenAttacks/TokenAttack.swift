/// One token that a verifier has to refuse.
public struct TokenAttack: Sendable, CustomStringConvertible {
    /// A stable, unique name in lower case with hyphens: `alg-none`.
    public let name: String
    /// What is wrong with the token: `algorithm`, `kid`, `header key`, `crit`, `signature`, `JSON`, `base64url`, `form`
    /// or `claims`.
    public let group: String
    /// A sentence for a person: what a verifier that accepts the token does wrong.
    public let explanation: String
    /// Whether HTTP can carry the token in a header: no control characters, at most 16 KiB.
    public let fitsHTTP: Bool
    /// Whether the standards leave no choice but to refuse the token; if not, it belongs to ``strict``.
    public let isRefusedByAll: Bool
    let make: Make

    typealias Make = @Sendable (AttackMaterial) throws -> [UInt8]

    /// The bytes of the token.
    ///
    /// - Throws: ``JOSEError`` where OpenSSL fails.
    public func token(_ material: AttackMaterial) throws -> [UInt8] { try make(material) }

    public var description: String { name }

    /// Every attack that all verifiers of RFC 9068 access tokens refuse, whatever else they do: who accepts one breaks
    /// a rule of RFC 7515, RFC 7519, RFC 9068 or RFC 8725.
    public static let all = everything.filter(\.isRefusedByAll)

    /// Tokens that a strict verifier refuses, while an ordinary one may accept them and still follow the standards:
    /// where an RFC says MAY or nothing (a `crit` that is empty, a repeated member of which the last one is sound, a
    /// BOM, trailing bits, an `iat` in the future, an `exp` that is absurdly late, the issuer's signature under another
    /// `kid` or none).
    ///
    /// This house's own verifier refuses all of them but `kid-absent`, which it accepts where a published key fits.
    public static let strict = everything.filter { !$0.isRefusedByAll }

    private static let everything = [
        algorithm, secret, keyID, headerKey, critical, signature, json, encoding, form, type, issuer, audience, time,
    ].flatMap { $0 }
}

/// Makes the attacks of one group.
struct AttackGroup {
    let name: String

    init(_ name: String) { self.name = name }

    func callAsFunction(
        _ name: String, _ explanation: String, fitsHTTP: Bool = true, make: @escaping TokenAttack.Make
    ) -> TokenAttack {
        TokenAttack(
            name: name, group: self.name, explanation: explanation, fitsHTTP: fitsHTTP, isRefusedByAll: true,
            make: make)
    }

    /// An attack for ``TokenAttack/strict``.
    func strict(
        _ name: String, _ explanation: String, fitsHTTP: Bool = true, make: @escaping TokenAttack.Make
    ) -> TokenAttack {
        TokenAttack(
            name: name, group: self.name, explanation: explanation, fitsHTTP: fitsHTTP, isRefusedByAll: false,
            make: make)
    }
}
