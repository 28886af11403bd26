/// CSV as RFC 4180 has it.
enum CSV {
    /// The fields of a record, which comes without its line end.
    ///
    /// - Returns: `nil` where a quote is in the wrong place.
    static func fields(of record: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
        guard record.contains(quote) else { return record.split(separator: comma, omittingEmptySubsequences: false) }
        var fields: [ArraySlice<UInt8>] = []
        var position = record.startIndex
        while true {
            if position < record.endIndex, record[position] == quote {
                guard let text = quoted(in: record, at: &position) else { return nil }
                fields.append(text[...])
            } else {
                let end = record[position...].firstIndex(of: comma) ?? record.endIndex
                let field = record[position..<end]
                guard !field.contains(quote) else { return nil }
                fields.append(field)
                position = end
            }
            guard position < record.endIndex else { return fields }
            guard record[position] == comma else { return nil }
            position += 1
        }
    }

    /// The text between quotes, in which two stand for one.
    private static func quoted(in record: ArraySlice<UInt8>, at position: inout Int) -> [UInt8]? {
        var text: [UInt8] = []
        position += 1
        while let end = record[position...].firstIndex(of: quote) {
            text += record[position..<end]
            position = end + 1
            guard position < record.endIndex, record[position] == quote else { return text }
            text.append(quote)
            position += 1
        }
        return nil
    }

    /// Whether a record goes on in the next line: a quoted field is open.
    static func isOpen(_ record: ArraySlice<UInt8>) -> Bool { record.count { $0 == quote } % 2 == 1 }

    /// Appends a field, quoted where it has to be.
    static func append(_ text: String, to record: inout [UInt8]) {
        guard text.utf8.contains(where: { [quote, comma, 0x0A, 0x0D].contains($0) }) else {
            record += text.utf8
            return
        }
        record.append(quote)
        for byte in text.utf8 {
            if byte == quote { record.append(quote) }
            record.append(byte)
        }
        record.append(quote)
    }

    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")
}
