import JOSE

private let attack = AttackGroup("JSON")

extension TokenAttack {
    /// A header or a payload that isn't one JSON object of different members (RFC 7515 section 4, RFC 7519 section 4),
    /// and is signed by the issuer.
    static let json = [Half.header, .payload].flatMap(illFormed) + repeated + otherTypes + numbers

    private static func illFormed(_ half: Half) -> [TokenAttack] {
        [
            half.attack("invalid-utf8", "It reads bytes that are no UTF-8.") {
                $0.appending(member: Array(#""x":""#.utf8) + [0xFF, 0xFE, UInt8(ascii: "\"")])
            },
            half.attack("overlong-utf8", "It reads a letter that UTF-8 spells with more bytes than it needs.") {
                $0.appending(member: Array(#""x":""#.utf8) + [0xC0, 0xAF, UInt8(ascii: "\"")])
            },
            half.attack("trailing-bytes", "It passes over what stands behind the JSON text.") { $0 + Array("x".utf8) },
            half.attack("trailing-nul", "It takes a NUL for the end of the JSON text.") { $0 + [0] },
            half.attack("two-objects", "It reads the first of two JSON texts.") { $0 + $0 },
            half.attack("trailing-comma", "It accepts a comma before the closing brace.") {
                $0.dropLast() + Array(",}".utf8)
            },
            half.attack("comment", "It passes over comments, which JSON doesn't have.") { Array("/**/".utf8) + $0 },
            half.attack("array", "It takes an array for the object inside.") {
                [UInt8(ascii: "[")] + $0 + [UInt8(ascii: "]")]
            },
            half.attack("string", "It reads JSON inside a JSON string.") {
                JSONValue.string(String(decoding: $0, as: UTF8.self)).json
            },
            half.attack("nested-unclosed", "It follows nesting of any depth: 10,000 arrays that never end.") {
                $0.dropLast() + Array(#","x":"#.utf8) + Array(repeating: UInt8(ascii: "["), count: 10_000)
            },
            half.strict("nested", "It follows nesting of any depth: 10,000 arrays.", fitsHTTP: false) {
                let (open, close) = (String(repeating: "[", count: 10_000), String(repeating: "]", count: 10_000))
                return $0.appending(member: Array("\"x\":\(open)\(close)".utf8))
            },
            half.strict("bom", "It passes over a byte order mark, which nobody may write.") {
                [0xEF, 0xBB, 0xBF] + $0
            },
        ]
    }

    /// A parser that doesn't refuse repeated members has to let the last one count.
    private static let repeated: [TokenAttack] = [
        attack("header-alg-repeated", "It lets the first of two alg count.") {
            try $0.token(header: $0.header().appending(member: #""alg":"none""#))
        },
        attack("header-alg-repeated-escaped", "It doesn't see that \\u0061lg is alg.") {
            try $0.token(header: $0.header().appending(member: #""\u0061lg":"none""#))
        },
        attack("payload-exp-repeated", "It lets the first of two exp count.") {
            try $0.token(payload: $0.payload().appending(member: "\"exp\":\($0.now.seconds - day)"))
        },
        attack("payload-exp-repeated-escaped", "It doesn't see that \\u0065xp is exp.") {
            try $0.token(payload: $0.payload().appending(member: "\"\\u0065xp\":\($0.now.seconds - day)"))
        },
        attack("payload-iss-repeated", "It lets the first of two iss count.") {
            try $0.token(payload: $0.payload().appending(member: #""iss":"https://attacker.example""#))
        },
        attack("payload-aud-repeated", "It lets the first of two aud count.") {
            try $0.token(payload: $0.payload().appending(member: #""aud":"https://attacker.example""#))
        },
        attack.strict(
            "header-alg-repeated-sound-last", "It lets the last of two alg count, after others saw the first."
        ) {
            try $0.token(header: $0.header().prepending(member: #""alg":"none""#))
        },
        attack.strict(
            "header-kid-repeated-sound-last", "It lets the last of two kid count, after others saw the first."
        ) {
            try $0.token(header: $0.header().prepending(member: #""kid":"unknown""#))
        },
        attack.strict(
            "payload-exp-repeated-sound-last", "It lets the last of two exp count, after others saw the first."
        ) {
            try $0.token(payload: $0.payload().prepending(member: "\"exp\":\($0.now.seconds - day)"))
        },
        attack.strict("payload-sub-repeated", "It lets the last of two sub count, after others saw the first.") {
            try $0.token(payload: $0.payload().appending(member: #""sub":"attacker""#))
        },
        attack.strict(
            "payload-sub-repeated-sound-last", "It lets the last of two sub count, after others saw the first."
        ) {
            try $0.token(payload: $0.payload().prepending(member: #""sub":"attacker""#))
        },
        attack.strict("payload-repeated-inside", "It accepts a repeated member in an object inside.") {
            try $0.token(payload: $0.payload().appending(member: #""x":{"role":"user","role":"admin"}"#))
        },
    ]

    private static let otherTypes: [TokenAttack] = ["null", "1", "true", #""text""#, "[]"].enumerated().map {
        let name = ["null", "number", "boolean", "text", "empty-array"][$0]
        let payload = $1
        return attack("payload-\(name)-only", "It accepts claims that aren't an object.") {
            try $0.token(payload: Array(payload.utf8))
        }
    }

    private static let numbers: [TokenAttack] = [
        attack.strict("payload-number-1e400", "It reads a number that no computer has as infinity.") {
            try $0.token(payload: $0.payload().appending(member: "\"x\":1e400"))
        }
    ]
}

/// Where the JSON text is.
private enum Half: String {
    case header, payload

    func attack(
        _ name: String, _ explanation: String, spoil: @escaping @Sendable ([UInt8]) -> [UInt8]
    ) -> TokenAttack {
        TokenAttacks.attack("\(rawValue)-\(name)", explanation) { try token($0, spoil) }
    }

    func strict(
        _ name: String, _ explanation: String, fitsHTTP: Bool = true,
        spoil: @escaping @Sendable ([UInt8]) -> [UInt8]
    ) -> TokenAttack {
        TokenAttacks.attack.strict("\(rawValue)-\(name)", explanation, fitsHTTP: fitsHTTP) { try token($0, spoil) }
    }

    private func token(_ material: AttackMaterial, _ spoil: ([UInt8]) -> [UInt8]) throws -> [UInt8] {
        switch self {
        case .header: try material.token(header: spoil(material.header()))
        case .payload: try material.token(payload: spoil(material.payload()))
        }
    }
}
