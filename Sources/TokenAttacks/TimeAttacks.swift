import JOSE

private let attack = AttackGroup("claims")

extension TokenAttack {
    /// `exp`, `nbf` and `iat` that don't hold now, or are no NumericDate (RFC 7519 sections 2 and 4.1); a day is more
    /// than any leeway.
    static let time = expired + notADate + notYet + absurd

    private static let expired: [TokenAttack] = [
        attack("exp-missing", "It accepts a token that never expires.") {
            try $0.token(payload: $0.payload(["exp": nil]))
        },
        attack("exp-past", "It accepts a token that expired yesterday.") {
            try $0.token(
                payload: $0.payload(["iat": $0.seconds(after: -2 * day), "exp": $0.seconds(after: -day)]))
        },
        attack("exp-past-hour", "It accepts a token that expired an hour ago.") {
            try $0.token(
                payload: $0.payload(["iat": $0.seconds(after: -7200), "exp": $0.seconds(after: -3600)]))
        },
        spelt("exp", "past-float", "It passes over an exp with a fraction.") { "\($0.now.seconds - day).5" },
        spelt("exp", "past-exponent", "It reads an exp up to its exponent.") {
            "\($0.now.seconds + day)e-1"
        },
        spelt("exp", "zero", "It takes an exp of zero for none.") { _ in "0" },
        spelt("exp", "minus-zero", "It takes an exp of minus zero for none.") { _ in "-0" },
        spelt("exp", "negative", "It takes a negative exp for none, or without its sign.") { _ in "-1" },
        spelt("exp", "negative-date", "It reads an exp without its sign.") { "-\($0.now.seconds + day)" },
        spelt("exp", "below-64-bits", "It calculates until exp comes out in the future.") { _ in
            "-9223372036854775809"
        },
        spelt("exp", "minus-1e400", "It reads a number that no computer has, and compares with infinity.") { _ in
            "-1e400"
        },
    ]

    private static let notADate: [TokenAttack] = [
        spelt("exp", "string", "It reads a date out of text.") { "\"\($0.now.seconds + day)\"" },
        spelt("exp", "rfc3339", "It reads a date out of text, or passes over it.") { "\"\($0.now + .seconds(day))\"" },
        spelt("exp", "null", "It takes an exp of null for none.") { _ in "null" },
        spelt("exp", "true", "It takes true for an exp that holds.") { _ in "true" },
        spelt("exp", "array", "It takes the first of a list of dates.") { "[\($0.now.seconds + day)]" },
        spelt("exp", "object", "It passes over an exp that is an object.") { _ in "{}" },
        spelt("exp", "nan", "It reads NaN, which JSON doesn't have and no comparison holds for.") { _ in "NaN" },
        spelt("exp", "infinity", "It reads Infinity, which JSON doesn't have.") { _ in "Infinity" },
        spelt("exp", "hexadecimal", "It reads numbers that JSON doesn't have.") {
            "0x" + String($0.now.seconds + day, radix: 16)
        },
        spelt("exp", "zero-ahead", "It reads numbers that JSON doesn't have.") { "0\($0.now.seconds + day)" },
        spelt("exp", "plus", "It reads numbers that JSON doesn't have.") { "+\($0.now.seconds + day)" },
    ]

    private static let notYet: [TokenAttack] = [
        spelt("nbf", "future", "It accepts a token before its time.") { "\($0.now.seconds + day)" },
        spelt("nbf", "future-float", "It passes over an nbf with a fraction.") { "\($0.now.seconds + day).5" },
        spelt("nbf", "future-string", "It passes over an nbf that is text.") { "\"\($0.now.seconds + day)\"" },
        spelt("nbf", "beyond-32-bits", "It calculates nbf in 32 bits, where it comes out as now.") {
            "\($0.now.seconds + 1 << 32)"
        },
        spelt("nbf", "beyond-63-bits", "It calculates nbf in 64 bits, where it comes out negative.") { _ in
            "9223372036854775808"
        },
        spelt("nbf", "beyond-64-bits", "It calculates nbf in 64 bits, where it comes out as zero.") { _ in
            "18446744073709551616"
        },
        spelt("nbf", "1e400", "It passes over an nbf that no computer has.") { _ in "1e400" },
        strictlySpelt("iat", "future", "It accepts a token from tomorrow.") { "\($0.now.seconds + day)" },
        strictlySpelt("iat", "string", "It passes over an iat that is text.") { "\"\($0.now.seconds)\"" },
        strictlySpelt("nbf", "string", "It passes over an nbf that is text, and long ago.") {
            "\"\($0.now.seconds - day)\""
        },
    ]

    /// In the future, if one believes them.
    private static let absurd: [TokenAttack] = [
        strictlySpelt("exp", "milliseconds", "It accepts an exp in milliseconds: 50,000 years ahead.") {
            "\(($0.now.seconds + 3600) * 1000)"
        },
        strictlySpelt("exp", "beyond-63-bits", "It accepts an exp that a signed number of 64 bits can't hold.") { _ in
            "9223372036854775808"
        },
        strictlySpelt("exp", "beyond-64-bits", "It accepts an exp that 64 bits can't hold.") { _ in
            "184467440737095516160"
        },
        strictlySpelt("exp", "1e400", "It accepts an exp that no computer has, as infinity.") { _ in "1e400" },
        strictlySpelt("exp", "1e300", "It accepts an exp that no calendar has.") { _ in "1e300" },
    ]

    private static func spelt(
        _ name: String, _ variant: String, _ explanation: String,
        value: @escaping @Sendable (AttackMaterial) -> String
    ) -> TokenAttack {
        attack("\(name)-\(variant)", explanation) { try token($0, name, value($0)) }
    }

    private static func strictlySpelt(
        _ name: String, _ variant: String, _ explanation: String,
        value: @escaping @Sendable (AttackMaterial) -> String
    ) -> TokenAttack {
        attack.strict("\(name)-\(variant)", explanation) { try token($0, name, value($0)) }
    }

    /// A token with a claim that is spelt as no writer of JSON would.
    private static func token(_ material: AttackMaterial, _ claim: String, _ value: String) throws -> [UInt8] {
        try material.token(payload: material.payload([claim: nil]).appending(member: "\"\(claim)\":\(value)"))
    }
}
