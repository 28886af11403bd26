import JOSE

private let attack = AttackGroup("crit")
private let unknown = "https://attacker.example/extension"

extension TokenAttack {
    /// The header asks for extensions (RFC 7515 section 4.1.11), among them the payload that isn't base64url, which
    /// RFC 7797 knows and forbids to JWTs; the issuer has signed it.
    static let critical: [TokenAttack] = [
        attack("crit-unknown", "It passes over an extension that the token says must be understood.") {
            try $0.token(header: $0.header(["crit": [.string(unknown)], unknown: true]))
        },
        attack("crit-unknown-absent", "It passes over an extension that crit names and the header doesn't have.") {
            try $0.token(header: $0.header(["crit": [.string(unknown)]]))
        },
        attack("crit-unknown-second", "It looks at the first name in crit only.") {
            try $0.token(header: $0.header(["crit": ["b64", .string(unknown)], "b64": true, unknown: true]))
        },
        attack("crit-string", "It passes over a crit that is text instead of an array.") {
            try $0.token(header: $0.header(["crit": .string(unknown), unknown: true]))
        },
        attack("crit-object", "It passes over a crit that is an object instead of an array.") {
            try $0.token(header: $0.header(["crit": [unknown: true], unknown: true]))
        },
        attack("crit-number", "It passes over a crit that is a number instead of an array.") {
            try $0.token(header: $0.header(["crit": 1]))
        },
        attack("crit-array-of-numbers", "It passes over names in crit that aren't text.") {
            try $0.token(header: $0.header(["crit": [1]]))
        },
        attack("b64-false", "It accepts a JWT whose payload isn't base64url, as b64 says.") {
            try $0.token(spelt: [
                spelt($0.header(["crit": ["b64"], "b64": false])), withoutDots($0.payload()),
            ])
        },
        attack("b64-false-without-crit", "It accepts a JWT whose payload isn't base64url, as b64 says outside crit.") {
            try $0.token(spelt: [spelt($0.header(["b64": false])), withoutDots($0.payload())])
        },
        attack("b64-false-encoded", "It accepts b64 false in crit, and decodes the payload nevertheless.") {
            try $0.token(header: $0.header(["crit": ["b64"], "b64": false]))
        },
        attack.strict("b64-false-encoded-without-crit", "It doesn't know b64, which JWTs must not have.") {
            try $0.token(header: $0.header(["b64": false]))
        },
        attack.strict("crit-empty", "It takes a crit that names nothing for none.") {
            try $0.token(header: $0.header(["crit": []]))
        },
        attack.strict("crit-null", "It takes a crit of null for none.") {
            try $0.token(header: $0.header(["crit": .null]))
        },
        attack.strict("crit-registered", "It accepts a crit with a name that is no extension.") {
            try $0.token(header: $0.header(["crit": ["alg"]]))
        },
    ]

    /// The same JSON, every dot in a string escaped: a payload that isn't base64url can't have one (RFC 7797 section
    /// 5.2). A number with a fraction, which no registered claim here has, would come out ill-formed.
    private static func withoutDots(_ json: [UInt8]) -> [UInt8] {
        Array(String(decoding: json, as: UTF8.self).replacing(".", with: #"\u002e"#).utf8)
    }
}
