/// The two spellings of an ECDSA signature: OpenSSL's DER (`ECDSA-Sig-Value` of RFC 3279 section 2.2.3), and JWS's r and s
/// side by side (RFC 7518 section 3.4).
///
/// By hand, since OpenSSL's own makes objects of both numbers, for a twentieth of the time that a signature takes.
enum ECDSASignature {
    private static let sequence: UInt8 = 0x30
    private static let integer: UInt8 = 0x02
    /// A length of one byte follows, over 127.
    private static let longLength: UInt8 = 0x81

    static func concatenated(fromDER der: ArraySlice<UInt8>, coordinateSize size: Int) throws -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 2 * size)
        var rest = der
        guard rest.popFirst() == sequence, length(&rest) == rest.count else { throw notDER }
        for end in [size, 2 * size] {
            guard rest.popFirst() == integer, let count = length(&rest), count >= 1, count <= rest.count else {
                throw notDER
            }
            let digits = rest.prefix(count).drop { $0 == 0 }
            guard digits.count <= size else { throw notDER }
            for (index, digit) in zip(end - digits.count..<end, digits) { signature[index] = digit }
            rest = rest.dropFirst(count)
        }
        guard rest.isEmpty else { throw notDER }
        return signature
    }

    private static func length(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard let first = rest.popFirst() else { return nil }
        return first < 0x80 ? Int(first) : first == longLength ? rest.popFirst().map { Int($0) } : nil
    }

    /// OpenSSL wrote it: this can't happen.
    private static var notDER: JOSEError { JOSEError(.openSSL, "an ECDSA signature that isn't DER") }

    static func der(fromConcatenated signature: [UInt8], coordinateSize size: Int) throws -> [UInt8] {
        guard signature.count == 2 * size else {
            throw JOSEError(.signatureInvalid, "a signature of \(signature.count) bytes instead of \(2 * size)")
        }
        let (r, s) = (signature[..<size].drop { $0 == 0 }, signature[size...].drop { $0 == 0 })
        let count = 4 + r.count + s.count + (needsZero(r) ? 1 : 0) + (needsZero(s) ? 1 : 0)
        var der: [UInt8] = []
        der.reserveCapacity(count + 3)
        der.append(sequence)
        if count >= 0x80 { der.append(longLength) }
        der.append(UInt8(count))
        for digits in [r, s] {
            der.append(integer)
            der.append(UInt8(digits.count + (needsZero(digits) ? 1 : 0)))
            if needsZero(digits) { der.append(0) }
            der.append(contentsOf: digits)
        }
        return der
    }

    /// The highest bit would be a sign, and zero has a digit, too.
    private static func needsZero(_ digits: ArraySlice<UInt8>) -> Bool { digits.first.map { $0 >= 0x80 } ?? true }
}
