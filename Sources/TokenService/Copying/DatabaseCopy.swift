internal import Foundation
internal import JOSE
public import Storage

/// Copies all tables of a service from one database to another, of either engine: one state of the source, in one
/// transaction of the target, which is compared with the source before it is committed.
public struct DatabaseCopy: Sendable {
    private let source: any Database
    private let target: any Database

    /// - Parameters:
    ///   - source: with its tables up to date.
    ///   - target: with its tables up to date and empty.
    public init(from source: any Database, to target: any Database) {
        self.source = source
        self.target = target
    }

    /// How far it has got, in rows; each is written and then read again.
    public typealias Progress = @Sendable (_ done: Int, _ total: Int) -> Void

    /// How many rows of a table were copied.
    public struct Count: Sendable {
        public let table: String
        public let rows: Int
    }

    /// How many rows go at once.
    private static let pageSize = 200

    /// Copies everything.
    ///
    /// - Throws: ``ServiceError`` where the target isn't empty, or isn't the same afterwards; then nothing was copied.
    public func run(_ progress: @escaping Progress) async throws -> [Count] {
        let pipe = RowPipe()
        async let sent: Void = send(into: pipe)
        do {
            let counts = try await receive(from: pipe, progress)
            try await sent
            return counts
        } catch {
            pipe.close()
            // What went wrong at the source is why the target had nothing to read.
            try await sent
            throw error
        }
    }

    private func send(into pipe: RowPipe) async throws {
        do {
            try await source.read { connection in
                try connection.takeTime()
                var total = 0
                for table in CopiedTable.all {
                    total += Int(
                        try connection.query("SELECT COUNT(*) AS count FROM \(table.name)")[0].integer("count"))
                }
                try pipe.send(.total(total))
                for table in CopiedTable.all {
                    try table.read(connection, pageSize: Self.pageSize) { try pipe.send(.rows($0)) }
                    try pipe.send(.endOfTable)
                }
            }
        } catch is RowPipe.Closed {
            // The target said why.
        } catch {
            pipe.close()
            throw error
        }
    }

    private func receive(from pipe: RowPipe, _ progress: @escaping Progress) async throws -> [Count] {
        try await target.write { connection in
            guard pipe.begin() else {
                throw ServiceError(.unavailable, "the connection to the target broke; nothing was copied")
            }
            try connection.takeTime()
            for table in CopiedTable.all where !table.isSeeded {
                guard try connection.query("SELECT 1 AS one FROM \(table.name) LIMIT 1").isEmpty else {
                    throw ServiceError(
                        .failed, "the target isn't empty: its table \(table.name) has rows. Name an empty database")
                }
            }
            guard case .total(let total) = try pipe.receive() else { throw RowPipe.Closed() }
            var done = 0
            var counts: [Count] = []
            for table in CopiedTable.all {
                if table.isSeeded { try connection.execute("DELETE FROM \(table.name)") }
                var sent = RowSum()
                while case .rows(let rows) = try pipe.receive() {
                    try table.insert(rows, connection)
                    try rows.forEach { try sent.add($0) }
                    done += rows.count
                    progress(done, total * 2)
                }
                var stored = RowSum()
                try table.read(connection, pageSize: Self.pageSize) { rows in
                    try rows.forEach { try stored.add($0) }
                    progress(done + stored.count, total * 2)
                }
                guard sent == stored else {
                    throw ServiceError(
                        .failed, "the table \(table.name) isn't the same in the target; nothing was copied")
                }
                done += stored.count
                counts.append(Count(table: table.name, rows: sent.count))
            }
            return counts
        }
    }
}

/// The number of rows, and a sum of their hashes that doesn't depend on their order: databases sort texts differently.
private struct RowSum: Equatable {
    private(set) var count = 0
    private var sum: [UInt64] = [0, 0, 0, 0]

    mutating func add(_ row: [SQLValue]) throws {
        var bytes: [UInt8] = []
        func append(_ kind: UInt8, _ content: [UInt8]) {
            bytes.append(kind)
            bytes += withUnsafeBytes(of: UInt64(content.count).bigEndian, Array.init)
            bytes += content
        }
        for value in row {
            switch value {
            case .null: append(0, [])
            case .integer(let number): append(1, withUnsafeBytes(of: number.bigEndian, Array.init))
            case .text(let text): append(2, Array(text.utf8))
            case .bytes(let content): append(3, content)
            }
        }
        let hash = try SHA256.hash(bytes)
        for word in 0..<4 {
            sum[word] &+= hash[word * 8..<word * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
        count += 1
    }
}

/// Carries rows from the thread of one transaction to that of another; who is ahead waits.
private final class RowPipe: @unchecked Sendable {
    enum Item {
        case total(Int)
        case rows([[SQLValue]])
        case endOfTable
    }

    /// The other end is gone.
    struct Closed: Error {}

    private let condition = NSCondition()
    private var items: ArraySlice<Item> = []
    private var isClosed = false
    private var hasBegun = false
    private static let capacity = 8

    private func waiting<Value>(until isReady: () -> Bool, _ body: () -> Value) throws -> Value {
        condition.lock()
        defer { condition.unlock() }
        while !isReady(), !isClosed { condition.wait() }
        guard !isClosed else { throw Closed() }
        defer { condition.broadcast() }
        return body()
    }

    func send(_ item: Item) throws { try waiting(until: { items.count < Self.capacity }) { items.append(item) } }

    func receive() throws -> Item { try waiting(until: { !items.isEmpty }) { items.removeFirst() } }

    /// - Returns: whether it is the first time: what was received once can't be again.
    func begin() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        defer { hasBegun = true }
        return !hasBegun
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }
}
