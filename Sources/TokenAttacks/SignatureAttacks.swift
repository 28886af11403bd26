import JOSE

private let attack = AttackGroup("signature")

extension TokenAttack {
    /// The header and the claims of a valid token, and not its signature (RFC 7518 section 3).
    static let signature = spoilt + outOfRange + exchanged

    private static let spoilt: [TokenAttack] = [
        attack("signature-empty", "It takes an empty signature for a sound one.") {
            try $0.token(spoilingSignature: { _ in [] })
        },
        attack("signature-truncated", "It checks as much of the signature as there is.") {
            try $0.token(spoilingSignature: { $0.dropLast() })
        },
        attack("signature-halved", "It checks as much of the signature as there is, and that is half.") {
            try $0.token(spoilingSignature: { Array($0.prefix($0.count / 2)) })
        },
        attack("signature-extended", "It passes over what stands behind the signature.") {
            try $0.token(spoilingSignature: { $0 + [0] })
        },
        attack("signature-zero-ahead", "It passes over a zero before the signature.") {
            try $0.token(spoilingSignature: { [0] + $0 })
        },
        attack("signature-repeated", "It checks the first of two signatures.") {
            try $0.token(spoilingSignature: { $0 + $0 })
        },
        attack("signature-of-zeros", "It accepts r and s of zero, which fit any message.") {
            try $0.token(spoilingSignature: { $0.map { _ in 0 } })
        },
        attack("signature-of-ones", "It accepts numbers far out of range.") {
            try $0.token(spoilingSignature: { $0.map { _ in 0xFF } })
        },
        attack("signature-bit-flipped", "It doesn't check the signature to its end.") {
            try $0.token(spoilingSignature: { $0.dropLast() + [($0.last ?? 0) ^ 1] })
        },
        attack("signature-der", "It reads ASN.1, where the numbers have to stand bare.") { material in
            try material.token(spoilingSignature: {
                let form = SignatureForm.der(of: $0, algorithm: material.algorithm)
                // For want of numbers to write: ASN.1 round all of it.
                return form == $0 ? DER.octetString($0) : form
            })
        },
    ]

    private static let outOfRange: [TokenAttack] = [
        number("signature-r-zero", "It accepts an r of zero.") { $0.zero(.r) },
        number("signature-s-zero", "It accepts an s of zero.") { $0.zero(.s) },
        number("signature-r-at-order", "It accepts an r that is the order of the curve, or the modulus of RSA.") {
            try $0.limit(.r)
        },
        number(
            "signature-s-at-order", "It accepts an s that is the order of the curve, or one past the modulus of RSA."
        ) {
            try $0.limit(.s)
        },
        number("signature-r-beyond-order", "It accepts an r with the order of the curve added, or another point's.") {
            try $0.beyond(.r)
        },
        number("signature-s-beyond-order", "It accepts an s with the order added, a second spelling of the signature.")
        {
            try $0.beyond(.s)
        },
        number("signature-swapped", "It mistakes r for s.") { $0.swapped },
    ]

    private static let exchanged: [TokenAttack] = [
        attack("signature-of-another-token", "It accepts a signature of another token.") { material in
            try material.token { _ in
                try material.issuer.signature(of: Array("another token".utf8))
            }
        },
        attack("signature-of-other-claims", "It doesn't compare the claims with what was signed.") { material in
            let claims = material.payload(["sub": "attacker"])
            return try material.token(payload: claims) { _ in try signature(of: material.validToken()) }
        },
        attack("signature-of-other-header", "It doesn't compare the header with what was signed.") { material in
            let header = material.header(["cty": "JSON"])
            return try material.token(header: header) { _ in try signature(of: material.validToken()) }
        },
        attack("signature-of-payload", "It checks a signature of the payload alone.") { material in
            try material.token { _ in try material.issuer.signature(of: material.payload()) }
        },
    ]

    private static func number(
        _ name: String, _ explanation: String, change: @escaping @Sendable (SignatureForm) throws -> [UInt8]
    ) -> TokenAttack {
        attack(name, explanation) { material in
            try material.token(spoilingSignature: { try change(SignatureForm($0, by: material.issuer)) })
        }
    }

    private static func signature(of token: String) throws -> [UInt8] {
        try Base64URL.decode(String(token.split(separator: ".")[2]))
    }
}
