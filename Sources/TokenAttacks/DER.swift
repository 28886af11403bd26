/// The distinguished encoding of ASN.1 (X.690), as much of it as a certificate needs.
enum DER {
    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        guard content.count >= 128 else { return [tag, UInt8(content.count)] + content }
        let count = bigEndian(content.count)
        return [tag, 0x80 | UInt8(count.count)] + count + content
    }

    static func sequence(_ elements: [UInt8]...) -> [UInt8] { element(0x30, elements.flatMap { $0 }) }

    /// A positive number, given big end first.
    static func integer(_ number: [UInt8]) -> [UInt8] {
        let digits = Array(number.drop { $0 == 0 })
        return element(0x02, digits.first.map { $0 < 0x80 } == true ? digits : [0] + digits)
    }

    static func octetString(_ bytes: [UInt8]) -> [UInt8] { element(0x04, bytes) }

    static func bitString(_ bytes: [UInt8]) -> [UInt8] { element(0x03, [0] + bytes) }

    private static func bigEndian(_ number: Int) -> [UInt8] {
        number < 256 ? [UInt8(number)] : bigEndian(number / 256) + [UInt8(number % 256)]
    }
}
