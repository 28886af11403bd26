import Foundation
import Storage
import Testing

@Suite("A write")
struct WriteTests {
    @Test("stays whole")
    func commit() async throws {
        try await withDatabase { database, _ in
            let answer = try await database.write { connection in
                try connection.execute("INSERT INTO item (name, amount) VALUES ('a', 1)")
                try connection.execute("INSERT INTO item (name, amount) VALUES ('b', 2)")
                return try connection.query("UPDATE item SET amount = amount + 1 WHERE name = 'b' RETURNING amount")
            }
            #expect(try answer.map { try $0.integer("amount") } == [3])
            #expect(try await database.names == ["a", "b"])
        }
    }

    @Test("that throws leaves nothing")
    func rollback() async throws {
        try await withDatabase { database, _ in
            await #expect(throws: Refusal()) {
                try await database.write { connection in
                    try connection.execute("INSERT INTO item (name, amount) VALUES ('a', 1)")
                    throw Refusal()
                }
            }
            #expect(try await database.names == [])
            try await database.insert("a", 2)
            #expect(try await database.names == ["a"])
        }
    }

    @Test("with a row that is there already says so, and leaves nothing of itself")
    func alreadyThere() async throws {
        try await withDatabase { database, _ in
            try await database.insert("b", 1)
            let error = await #expect(throws: StorageError.self) {
                try await database.write { connection in
                    try connection.execute("INSERT INTO item (name, amount) VALUES ('a', 1)")
                    try connection.execute("INSERT INTO item (name, amount) VALUES ('b', 1)")
                }
            }
            #expect(error?.code == .alreadyThere)
            #expect(try await database.names == ["b"])
        }
    }

    @Test("tells how many rows it changed")
    func changes() async throws {
        try await withDatabase { database, _ in
            let counts = try await database.write { connection in
                [
                    try connection.execute("INSERT INTO item (name, amount) VALUES ('a', 1), ('b', 1), ('c', 2)"),
                    try connection.execute("INSERT INTO item (name, amount) VALUES ('a', 1) ON CONFLICT DO NOTHING"),
                    try connection.execute("UPDATE item SET amount = 5 WHERE amount = 1"),
                    try connection.execute("UPDATE item SET amount = 6 WHERE amount = 1"),
                    try connection.execute("DELETE FROM item"),
                ]
            }
            #expect(counts == [3, 0, 2, 0, 3])
        }
    }

    @Test("that throws doesn't touch its neighbours, of 200 at once")
    func neighbours() async throws {
        try await withDatabase { database, _ in
            try await database.insert("taken", 0)
            let outcomes = await withTaskGroup(of: (Int, String).self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.execute(
                                    "INSERT INTO item (name, amount) VALUES ($1, $2)",
                                    [.text("item \(number)"), .integer(Int64(number))])
                                if number % 3 == 1 { throw Refusal() }
                                if number % 3 == 2, number % 2 == 0 {
                                    try connection.execute("INSERT INTO item (name, amount) VALUES ('taken', 1)")
                                }
                            }
                            return (number, "done")
                        } catch let error as StorageError {
                            return (number, error.code == .alreadyThere ? "already there" : error.reason)
                        } catch {
                            return (number, error is Refusal ? "refused" : "\(error)")
                        }
                    }
                }
                return await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
            }
            for number in 0..<200 {
                let expected =
                    number % 3 == 1 ? "refused" : number % 3 == 2 && number % 2 == 0 ? "already there" : "done"
                #expect(outcomes[number] == expected)
            }
            let stored = Set(try await database.names)
            #expect(stored == Set(outcomes.filter { $0.value == "done" }.map { "item \($0.key)" } + ["taken"]))
        }
    }

    @Test("counts right beside 200 others that count the same row", arguments: [true, false])
    func compareAndSet(isOneStatement: Bool) async throws {
        try await withDatabase { database, _ in
            try await database.insert("a", 0)
            let sql = "UPDATE item SET amount = amount + 1 RETURNING amount"
            let results = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        let rows =
                            if isOneStatement {
                                try await database.write(sql, [])
                            } else {
                                try await database.write { try $0.query(sql) }
                            }
                        return try rows[0].integer("amount")
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(results.sorted() == Array(1...200))
        }
    }

    @Test("shares its commit with those that came while another was under way")
    func groups() async throws {
        try await withFile { database, path in
            let waiting = Counter()
            let before = try commits(in: path + "-wal")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await database.write { connection in
                        try connection.execute("INSERT INTO item (name, amount) VALUES ('first', 0)")
                        // Holds the writer until the others stand in line.
                        while waiting.value < 60 { usleep(100) }
                    }
                }
                for number in 0..<60 {
                    group.addTask {
                        waiting.increment()
                        try await database.insert("item \(number)", 1)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.names.count == 61)
            #expect(try commits(in: path + "-wal") - before < 20)
        }
    }
}

/// How many commits a write-ahead log holds: its frames that tell the size of the database after a commit.
private func commits(in path: String) throws -> Int {
    let log = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    func number(_ offset: Int) -> Int { log[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
    let frameSize = 24 + number(8)
    return stride(from: 32, to: log.count - frameSize + 1, by: frameSize).count {
        log[$0 + 8..<$0 + 16] == log[16..<24] && number($0 + 4) != 0
    }
}

private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    var value: Int { lock.withLock { count } }
    func increment() { lock.withLock { count += 1 } }
}
