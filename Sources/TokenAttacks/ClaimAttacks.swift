import JOSE

private let attack = AttackGroup("claims")

extension TokenAttack {
    /// Tokens of the issuer that are none for access (RFC 9068 section 4, RFC 8725 section 3.11).
    static let type: [TokenAttack] =
        [
            ("typ-missing", nil), ("typ-jwt", "JWT"), ("typ-id-token", "id_token"),
            ("typ-status-list", "statuslist+jwt"),
            ("typ-logout", "logout+jwt"), ("typ-dpop", "dpop+jwt"), ("typ-longer", "at+jwt2"), ("typ-empty", ""),
            ("typ-null", .null), ("typ-array", ["at+jwt"]),
        ].map { (name, type: JSONValue?) in
            attack(name, "It takes any token that the issuer signs for an access token.") {
                try $0.token(header: $0.header(["typ": type]))
            }
        }

    /// Another `iss` than the issuer's, to the letter.
    static let issuer: [TokenAttack] = [
        claim("iss", "missing", "It accepts a token that doesn't say who issued it.") { _ in nil },
        claim("iss", "null", "It takes an iss of null for none to check.") { _ in .null },
        claim("iss", "empty", "It takes an empty iss for none to check.") { _ in "" },
        claim("iss", "other", "It accepts a token of another issuer.") { _ in "https://attacker.example" },
        claim("iss", "slash", "It takes an address with a slash at its end for the same.") {
            .string($0.issuerName.hasSuffix("/") ? String($0.issuerName.dropLast()) : $0.issuerName + "/")
        },
        claim("iss", "letter-case", "It compares iss without regard to letter case.") {
            let upper = $0.issuerName.uppercased()
            return .string(upper == $0.issuerName ? $0.issuerName.lowercased() : upper)
        },
        claim("iss", "longer", "It looks at the beginning of iss only.") {
            .string($0.issuerName + ".attacker.example")
        },
        claim("iss", "inside", "It looks for the issuer anywhere inside iss.") {
            .string("https://attacker.example/?" + $0.issuerName)
        },
        claim("iss", "array", "It looks for the issuer in a list of them.") {
            [.string($0.issuerName), "https://attacker.example"]
        },
    ]

    /// Another `aud` than the service's.
    static let audience: [TokenAttack] = [
        claim("aud", "missing", "It accepts a token that doesn't say whom it is for.") { _ in nil },
        claim("aud", "null", "It takes an aud of null for everybody.") { _ in .null },
        claim("aud", "empty", "It takes an empty aud for everybody.") { _ in "" },
        claim("aud", "empty-array", "It takes a list of nobody for everybody.") { _ in [] },
        claim("aud", "other", "It accepts a token that is for another service.") { _ in "https://other.example" },
        claim("aud", "others", "It accepts a token that is for other services.") { _ in
            ["https://other.example", "https://attacker.example"]
        },
        claim("aud", "wildcard", "It takes an asterisk for everybody.") { _ in "*" },
        claim("aud", "longer", "It looks at the beginning of aud only.") { .string($0.audience + ".attacker.example") },
        claim("aud", "shorter", "It looks whether aud is anywhere inside its own name.") {
            .string(String($0.audience.dropLast()))
        },
        claim("aud", "list-in-text", "It looks for its own name anywhere inside aud.") {
            .string("https://other.example \($0.audience)")
        },
        claim("aud", "object", "It looks for its own name among the members of an object.") { [$0.audience: true] },
        claim("aud", "array-inside", "It looks for its own name in lists inside the list.") {
            [[.string($0.audience)]]
        },
    ]

    private static func claim(
        _ name: String, _ variant: String, _ explanation: String,
        value: @escaping @Sendable (AttackMaterial) -> JSONValue?
    ) -> TokenAttack {
        attack("\(name)-\(variant)", explanation) { try $0.token(payload: $0.payload([name: value($0)])) }
    }
}
