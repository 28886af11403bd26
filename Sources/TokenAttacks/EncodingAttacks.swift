import JOSE

private let attack = AttackGroup("base64url")

extension TokenAttack {
    /// One part is spelt as RFC 7515 section 2 forbids; the issuer has signed what is there.
    static let encoding = Part.allCases.flatMap(misspelt)

    private static func misspelt(_ part: Part) -> [TokenAttack] {
        let name = part.rawValue
        return [
            attack("padding-\(name)", "It accepts base64 with padding in the \(name).") {
                try part.token($0) { $0.count % 4 == 0 ? $0 + Array("====".utf8) : StandardBase64.padded($0) }
            },
            attack("plus-slash-\(name)", "It accepts the letters of the other base64 alphabet in the \(name).") {
                try part.token($0, respell: StandardBase64.withPlusAndSlash)
            },
            attack("space-\(name)", "It passes over a space inside the \(name).") {
                try part.token($0) { $0.inserting(UInt8(ascii: " ")) }
            },
            attack("line-break-\(name)", "It passes over a line break inside the \(name).", fitsHTTP: false) {
                try part.token($0) { $0.inserting(UInt8(ascii: "\n")) }
            },
            attack("line-break-behind-\(name)", "It trims a line break off the \(name).", fitsHTTP: false) {
                try part.token($0) { $0 + [UInt8(ascii: "\n")] }
            },
            attack("nul-\(name)", "It passes over a NUL behind the \(name).", fitsHTTP: false) {
                try part.token($0) { $0 + [0] }
            },
            attack("foreign-letter-\(name)", "It passes over a letter in the \(name) that isn't base64.") {
                try part.token($0) { $0.inserting(UInt8(ascii: "!")) }
            },
            attack("impossible-length-\(name)", "It passes over a last letter of the \(name) that spells no byte.") {
                try part.token($0, spare: 0) { letters in
                    // Signatures have the length that they have: there letters that say zero fill it up.
                    letters + Array(repeating: UInt8(ascii: "A"), count: (4 - letters.count % 4) % 4 + 1)
                }
            },
            attack.strict(
                "trailing-bits-\(name)",
                "It accepts several spellings of the \(name), one for each of the bits left over."
            ) {
                try part.token($0) { letters in
                    // Where no bits are left over, which some signatures are too even for, a stray letter has to do.
                    letters.count % 4 == 0
                        ? letters + [UInt8(ascii: "B")]
                        : letters.dropLast() + [letters.last.map(\.withLowestBit) ?? 0]
                }
            },
        ]
    }
}

private enum Part: String, CaseIterable {
    case header, payload, signature

    /// A token of which this part is spelt otherwise, and had a `-` or `_` to change.
    ///
    /// - Parameter spare: how many bytes of a header or payload are left over after whole threes.
    func token(
        _ material: AttackMaterial, spare: Int = 1, respell: ([UInt8]) -> [UInt8]
    ) throws -> [UInt8] {
        var parts = [material.header(), material.payload()].map { spelt($0.roomy(spare: spare)) }
        switch self {
        case .header: parts[0] = respell(parts[0])
        case .payload: parts[1] = respell(parts[1])
        case .signature: return try token(material, header: parts[0], respellSignature: respell)
        }
        return try material.token(spelt: parts)
    }

    private func token(
        _ material: AttackMaterial, header: [UInt8], respellSignature respell: ([UInt8]) -> [UInt8]
    ) throws -> [UInt8] {
        var attempt: Int64 = 0
        while true {
            let payload = spelt(material.payload(["attempt": .integer(attempt)]))
            let input = header + [dot] + payload
            let signature = spelt(try material.issuer.signature(of: input))
            // Of the signatures of ES256 one in fifteen has neither.
            if signature.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }) {
                return input + [dot] + respell(signature)
            }
            attempt += 1
        }
    }
}

extension [UInt8] {
    /// A JSON object's text with a member that makes a `-` and a `_`, and white space until so many bytes are left
    /// over after whole threes.
    fileprivate func roomy(spare: Int) -> [UInt8] {
        // Of three > one is the last of its three bytes, and makes a -, wherever they begin; so do ? with _.
        let text = appending(member: #""room":">>>???""#)
        let space = Array(repeating: UInt8(ascii: " "), count: (3 + spare - text.count % 3) % 3)
        return [text[0]] + space + text.dropFirst()
    }

    fileprivate func inserting(_ letter: UInt8) -> [UInt8] {
        prefix(count / 2) + [letter] + suffix(from: count / 2)
    }
}

extension UInt8 {
    /// The base64url letter with the lowest of its bits set, which a last letter mustn't have.
    fileprivate var withLowestBit: UInt8 {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        return alphabet.firstIndex(of: self).map { alphabet[$0 | 1] } ?? self
    }
}
