internal import JOSE

/// A part of a hash's text, between two dollars.
struct HashField {
    let bytes: ArraySlice<UInt8>

    static func fields(of text: some Sequence<UInt8>, separatedBy separator: Unicode.Scalar = "$") -> [HashField] {
        Array(text).split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false).map(HashField.init)
    }

    var count: Int { bytes.count }

    func isSpelt(_ text: String) -> Bool { bytes.elementsEqual(text.utf8) }

    /// A decimal number as every reader takes it: without leading zeros, of at most ten digits.
    var number: Int? {
        guard (1...10).contains(count), bytes.first != UInt8(ascii: "0") || count == 1 else { return nil }
        var number = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = 10 * number + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// The number behind `m=`.
    func number(behind name: String) -> Int? {
        bytes.starts(with: name.utf8) ? HashField(bytes: bytes.dropFirst(name.utf8.count)).number : nil
    }

    /// The bytes that this spells in standard base64 without padding.
    var base64: [UInt8]? { Base64URL.decodeStandard(bytes) }

    // MARK: What crypt(3) writes

    /// The values of crypt's letters, which stand for six bits each.
    private static let cryptValues = values(of: "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    /// bcrypt has them in another order.
    private static let bcryptValues = values(of: "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

    private static func values(of alphabet: String) -> [Int?] {
        var values = [Int?](repeating: nil, count: 256)
        for (value, letter) in alphabet.utf8.enumerated() { values[Int(letter)] = value }
        return values
    }

    /// Whether this is nothing but crypt's letters, so many of them.
    func isCryptText(of counts: ClosedRange<Int>) -> Bool {
        counts.contains(count) && bytes.allSatisfy { Self.cryptValues[Int($0)] != nil }
    }

    func isCryptText(of count: Int) -> Bool { isCryptText(of: count...count) }

    /// The value of a letter; `nil` beyond the end, too.
    func cryptValue(at offset: Int) -> Int? {
        offset < count ? Self.cryptValues[Int(bytes[bytes.startIndex + offset])] : nil
    }

    /// The value of a letter in bcrypt's order.
    func bcryptValue(at offset: Int) -> Int? {
        offset < count ? Self.bcryptValues[Int(bytes[bytes.startIndex + offset])] : nil
    }

    /// A number in crypt's letters, the lowest six bits first.
    func cryptNumber(at offset: Int, letters: Int) -> Int? {
        var number = 0
        for index in 0..<letters {
            guard let value = cryptValue(at: offset + index) else { return nil }
            number |= value << (6 * index)
        }
        return number
    }
}
