import ArgumentParser
import Foundation
import JOSE
import TokenService

/// Standard input, output and error.
enum Console {
    static func print(_ text: String) { write(Array(text.utf8) + [UInt8(ascii: "\n")]) }

    /// Writes to standard output, or ends the program: what wasn't written must not look done.
    static func write(_ bytes: [UInt8]) {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(bytes))
        } catch {
            Console.error("error: can't write to standard output")
            _exit(ServiceError.Status.failed.rawValue)
        }
    }

    static func error(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }

    /// All of a file, or of a pipe that the shell made (`<(command)`).
    ///
    /// - Throws: ``ServiceError`` where it can't be read or is longer than `limit` bytes.
    static func readFile(_ path: String, limit: Int) throws -> [UInt8] {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw ServiceError(.failed, "can't read the file \(path): \(String(cString: strerror(errno)))")
        }
        return try read(file, limit: limit, name: "the file \(path)")
    }

    /// Opens a file, or a pipe that the shell made, to be read some bytes at a time.
    ///
    /// - Returns: its size, if it has one, and what reads the next bytes, none at the end.
    /// - Throws: ``ServiceError`` where it can't be read.
    static func open(_ path: String) throws -> (size: Int?, read: () throws -> [UInt8]) {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw ServiceError(.failed, "can't read the file \(path): \(String(cString: strerror(errno)))")
        }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let isRegular = attributes?[.type] as? FileAttributeType == .typeRegular
        return (
            isRegular ? (attributes?[.size] as? NSNumber)?.intValue : nil,
            {
                do {
                    return try file.read(upToCount: 256 * 1024).map(Array.init) ?? []
                } catch {
                    throw ServiceError(.failed, "can't read the file \(path)")
                }
            }
        )
    }

    private static func read(_ file: FileHandle, limit: Int, name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            while let chunk = try file.read(upToCount: 64 * 1024), !chunk.isEmpty, bytes.count <= limit {
                bytes += chunk
            }
        } catch {
            throw ServiceError(.failed, "can't read \(name)")
        }
        guard bytes.count <= limit else { throw ServiceError(.failed, "\(name) is over \(limit) bytes") }
        return bytes
    }

    /// All of standard input, without one line end at its close.
    ///
    /// - Throws: ``ServiceError`` where it is longer than `limit` bytes.
    static func readInput(limit: Int) throws -> [UInt8] {
        var input = try read(.standardInput, limit: limit + 2, name: "standard input")
        if input.last == UInt8(ascii: "\n") {
            input.removeLast()
            if input.last == UInt8(ascii: "\r") { input.removeLast() }
        }
        return input
    }

    /// Asks for a password twice on the terminal, without showing it.
    static func askPassword() throws -> String {
        guard isatty(STDIN_FILENO) == 1 else {
            throw ServiceError(.usage, "there is no terminal to ask for the password: pipe it in with --password-stdin")
        }
        let first = try readHidden("Password: ")
        guard try readHidden("Again: ") == first else { throw ServiceError(.failed, "the two passwords differ") }
        return first
    }

    private static func readHidden(_ prompt: String) throws -> String {
        var old = termios()
        tcgetattr(STDIN_FILENO, &old)
        var hidden = old
        hidden.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &old)
            Console.error("")
        }
        try FileHandle.standardError.write(contentsOf: Data(prompt.utf8))
        guard let line = readLine() else { throw ServiceError(.failed, "no password was typed") }
        return line
    }
}

/// How records are printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

struct OutputOptions: ParsableArguments {
    @Option(help: "How to print: text or json.")
    var format = OutputFormat.text

    /// Prints several records: a table, or an array.
    func print(_ records: [JSONObject]) {
        switch format {
        case .json: Console.print(JSONValue.array(records.map { .object($0) }).jsonText)
        case .text: printTable(records)
        }
    }

    /// Prints one record: a line a field, or an object.
    func print(_ record: JSONObject) {
        switch format {
        case .json: Console.print(record.jsonText)
        case .text:
            let width = record.members.map(\.name.count).max() ?? 0
            for member in record.members {
                Console.print(
                    member.name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + Self.text(member.value))
            }
        }
    }

    private func printTable(_ records: [JSONObject]) {
        guard let names = records.first?.members.map(\.name) else { return }
        let rows = [names] + records.map { record in names.map { Self.text(record[$0] ?? .null) } }
        let widths = names.indices.map { column in rows.map { $0[column].count }.max()! }
        for row in rows {
            let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
            Console.print(cells.joined(separator: "  ").replacing(/\ +$/, with: ""))
        }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .string(let text): text
        default: value.jsonText
        }
    }
}
