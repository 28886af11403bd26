/// The lines of a file that is read a chunk at a time.
struct LineReader {
    private let read: () throws -> [UInt8]
    private let maximumFile: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false
    /// The number of the line that was read last.
    private(set) var number = 0
    /// How many bytes were read.
    private(set) var byteCount = 0

    /// The most bytes of a record: several times what names, hashes, scopes and claims may have together.
    static let maximumRecord = 64 * 1024
    static let maximumFile = 1 << 30

    /// - Parameter read: the next bytes, none at the end.
    init(maximumFile: Int = Self.maximumFile, _ read: @escaping () throws -> [UInt8]) {
        self.read = read
        self.maximumFile = maximumFile
    }

    /// The next line without its line feed; `nil` at the end.
    mutating func next() throws -> ArraySlice<UInt8>? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return try line(upTo: end)
            }
            guard !isAtEnd else {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                return try line(upTo: buffer.count)
            }
            searched = buffer.count - start
            try fill()
        }
    }

    /// A byte order mark and white space before the first line's text, and that text's first byte.
    mutating func firstByte() throws -> UInt8? {
        while !isAtEnd, buffer.count < 3 { try fill() }
        if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        while true {
            if let byte = buffer[start...].first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) { return byte }
            guard !isAtEnd, buffer.count <= Self.maximumRecord else { return nil }
            try fill()
        }
    }

    private mutating func line(upTo end: Int) throws -> ArraySlice<UInt8> {
        number += 1
        guard end - start <= Self.maximumRecord else { throw tooLong }
        return buffer[start..<end]
    }

    private var tooLong: UserFileProblem {
        UserFileProblem(line: number, "a user may take \(Self.maximumRecord) bytes at most")
    }

    /// Reads on; what was handed out is dropped.
    private mutating func fill() throws {
        // A byte order mark stays skipped.
        buffer.removeFirst(start)
        start = 0
        guard buffer.count <= Self.maximumRecord else {
            number += 1
            throw tooLong
        }
        let chunk = try read()
        isAtEnd = chunk.isEmpty
        byteCount += chunk.count
        guard byteCount <= maximumFile else {
            throw UserFileProblem("over \(maximumFile) bytes; divide it")
        }
        buffer += chunk
    }
}
