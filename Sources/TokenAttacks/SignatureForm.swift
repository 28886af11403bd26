import JOSE

/// The numbers inside a signature: r and s of ECDSA, R and S of EdDSA, the single number of RSA, of which the halves
/// are taken for want of two.
struct SignatureForm {
    enum Number { case r, s }

    private let signature: [UInt8]
    private let key: PublicKey
    private let algorithm: Algorithm

    init(_ signature: [UInt8], by signer: Signer) {
        self.signature = signature
        key = signer.key.publicKey
        algorithm = signer.algorithm
    }

    private var r: [UInt8] { Array(signature.prefix(signature.count / 2)) }
    private var s: [UInt8] { Array(signature.suffix(signature.count / 2)) }

    var swapped: [UInt8] { s + r }

    /// ASN.1 in place of the bare numbers.
    static func der(of signature: [UInt8], algorithm: Algorithm) -> [UInt8] {
        guard algorithm.keyType == .ellipticCurve else { return signature }
        let size = signature.count / 2
        return DER.sequence(
            DER.integer(Array(signature.prefix(size))), DER.integer(Array(signature.suffix(size))))
    }

    /// With zeros in place of one of the numbers.
    func zero(_ number: Number) -> [UInt8] {
        switch number {
        case .r: r.map { _ in 0 } + s
        case .s: r + s.map { _ in 0 }
        }
    }

    /// One number is the first that is out of range, which is zero to who only calculates with it.
    func limit(_ number: Number) throws -> [UInt8] {
        switch (key.parameters, number) {
        case (.rsa, .r): try modulus()
        case (.rsa, .s): try Self.sum(modulus(), [1])
        case (_, .r): try limit(of: .r) + s
        case (_, .s): try r + limit(of: .s)
        }
    }

    /// One number is the right one plus the limit, which is right to who only calculates with it.
    func beyond(_ number: Number) throws -> [UInt8] {
        switch (key.parameters, number) {
        case (.rsa, .r): try Self.sum(signature, Self.sum(modulus(), modulus()))
        case (.rsa, .s): try Self.sum(signature, modulus())
        case (.ed25519, .r): r.map { _ in 0xFF } + s
        case (.ed25519, .s): try r + Self.sum(s.reversed(), limit(of: .s).reversed()).reversed()
        case (.ec, .r): try join(Self.sum(r, limit(of: .r)), s)
        case (.ec, .s): try join(r, Self.sum(s, limit(of: .s)))
        }
    }
}

extension SignatureForm {
    /// The order of the group; for R of EdDSA, which is a point, the order of the field.
    private func limit(of number: Number) throws -> [UInt8] {
        switch key.parameters {
        case .rsa: try modulus()
        case .ed25519: number == .r ? Self.fieldOf25519 : Self.orderOf25519
        case .ec(.p256): Self.orderOfP256
        case .ec(.p384): Self.orderOfP384
        case .ec: Self.orderOfP521
        }
    }

    private func modulus() throws -> [UInt8] {
        try Base64URL.decode(JWK(key).publicMembers()["n"]?.string ?? "")
    }

    // FIPS 186-5 and SP 800-186; those of Ed25519 little end first, as its signatures are.
    private static let orderOfP256 = bytes("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551")
    private static let orderOfP384 = bytes(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973")
    private static let orderOfP521 = bytes(
        "01" + String(repeating: "F", count: 65)
            + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409")
    private static let orderOf25519 = bytes("EDD3F55C1A631258D69CF7A2DEF9DE1400000000000000000000000000000010")
    private static let fieldOf25519 = bytes("EDFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF7F")

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// The sum of two numbers, big end first, a byte longer where it has to be.
    private static func sum(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        let size = max(left.count, right.count)
        var carry = 0
        var sum: [UInt8] = []
        for (left, right) in zip(padded(left, size).reversed(), padded(right, size).reversed()) {
            carry += Int(left) + Int(right)
            sum.append(UInt8(carry & 255))
            carry >>= 8
        }
        return (carry > 0 ? [UInt8(carry)] : []) + sum.reversed()
    }

    private static func padded(_ number: [UInt8], _ size: Int) -> [UInt8] {
        Array(repeating: 0, count: size - number.count) + number
    }

    private func join(_ r: [UInt8], _ s: [UInt8]) -> [UInt8] {
        let size = max(r.count, s.count)
        return Self.padded(r, size) + Self.padded(s, size)
    }
}
