internal import JOSE

/// The users of a file, one after the other: NDJSON where its first byte is a brace, else CSV with a heading.
struct UserFileReader {
    private var lines: LineReader
    /// The columns of a table; `nil` for NDJSON.
    private let columns: [UserField]?

    var byteCount: Int { lines.byteCount }

    /// - Parameter read: the next bytes, none at the end.
    init(_ read: @escaping () throws -> [UInt8]) throws {
        lines = LineReader(read)
        switch try lines.firstByte() {
        case nil: throw UserFileProblem("there is nothing in it")
        case UInt8(ascii: "{"): columns = nil
        case UInt8(ascii: "["):
            throw UserFileProblem(line: 1, "write one JSON object a line instead of an array: jq -c '.[]' does it")
        default: columns = try Self.columns(&lines)
        }
    }

    /// The next user; `nil` at the end.
    ///
    /// - Throws: ``UserFileProblem``, or what reading throws.
    mutating func next() throws -> ImportedUser? {
        if let columns { try nextRow(columns) } else { try nextObject() }
    }

    // MARK: NDJSON

    private mutating func nextObject() throws -> ImportedUser? {
        while let line = try lines.next() {
            guard line.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { continue }
            let object: JSONObject
            do {
                // Claims may be as deep as any object, and are within another one here.
                object = try JSONObject(json: line, maximumDepth: JSONValue.maximumDepth + 1)
            } catch {
                throw problem("not a JSON object: \((error as? JOSEError)?.reason ?? "it can't be read")")
            }
            var values: [UserField: JSONValue] = [:]
            for member in object.members {
                guard let field = UserField(spelt: member.name) else { throw unknown("member", member.name) }
                values[field] = member.value
            }
            return try ImportedUser(values, line: lines.number)
        }
        return nil
    }

    // MARK: CSV

    private static func columns(_ lines: inout LineReader) throws -> [UserField] {
        let all = UserField.allCases.map(\.rawValue).joined(separator: ",")
        guard let (record, line) = try nextRecord(&lines) else { throw UserFileProblem("there is nothing in it") }
        let names = CSV.fields(of: record)?.compactMap { String(validating: $0, as: UTF8.self) } ?? []
        guard
            [UserField.username, .passwordHash].allSatisfy({ field in names.contains { $0.isSpelt(field.rawValue) } })
        else {
            // What stands there instead isn't repeated: it may be a user.
            throw UserFileProblem(
                line: line, "neither a JSON object nor a heading with commas, such as \(all) (the first two are needed)"
            )
        }
        var columns: [UserField] = []
        for name in names {
            guard let column = UserField(spelt: name) else { throw unknown("column", name, line: line) }
            guard !columns.contains(column) else {
                throw UserFileProblem(line: line, "the column \(name) is there twice; leave one")
            }
            columns.append(column)
        }
        return columns
    }

    private mutating func nextRow(_ columns: [UserField]) throws -> ImportedUser? {
        guard let (record, line) = try Self.nextRecord(&lines) else { return nil }
        func problem(_ text: String) -> UserFileProblem { UserFileProblem(line: line, text) }
        guard let cells = CSV.fields(of: record) else {
            throw problem("a quote in the wrong place: put the whole field between quotes, and double those within")
        }
        guard cells.count == columns.count else {
            throw problem("\(cells.count) fields where the heading has \(columns.count); one with a comma needs quotes")
        }
        var values: [UserField: JSONValue] = [:]
        for (column, cell) in zip(columns, cells) {
            guard let text = String(validating: cell, as: UTF8.self) else {
                throw problem("not UTF-8: convert the file")
            }
            do {
                values[column] = try column.value(ofCell: text)
            } catch {
                throw problem("the \(column.rawValue) aren't JSON: \((error as? JOSEError)?.reason ?? "unreadable")")
            }
        }
        return try ImportedUser(values, line: line)
    }

    /// A record, which may take several lines, and the line it begins in; empty lines are passed over.
    private static func nextRecord(
        _ lines: inout LineReader
    ) throws -> (record: ArraySlice<UInt8>, line: Int)? {
        while var record = try lines.next() {
            let number = lines.number
            var isOpen = CSV.isOpen(record)
            while isOpen {
                guard let more = try lines.next() else {
                    throw UserFileProblem(line: number, "a quoted field doesn't end; close the quote")
                }
                record.append(UInt8(ascii: "\n"))
                record += more
                isOpen = !CSV.isOpen(more)
                guard record.count <= LineReader.maximumRecord else {
                    throw UserFileProblem(
                        line: number,
                        "a user may take \(LineReader.maximumRecord) bytes at most; a quote may be missing")
                }
            }
            if record.last == UInt8(ascii: "\r") { record.removeLast() }
            if !record.isEmpty { return (record, number) }
        }
        return nil
    }

    // MARK: Problems

    private func problem(_ text: String) -> UserFileProblem { UserFileProblem(line: lines.number, text) }

    private func unknown(_ what: String, _ name: String) -> UserFileProblem {
        Self.unknown(what, name, line: lines.number)
    }

    private static func unknown(_ what: String, _ name: String, line: Int) -> UserFileProblem {
        let known = UserField.allCases.map(\.rawValue).joined(separator: ", ")
        return UserFileProblem(line: line, "the \(what) \"\(name.prefix(64))\" is none of \(known)")
    }
}
