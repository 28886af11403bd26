import Storage
import Testing

@Suite("A write of one statement")
struct OneStatementTests {
    @Test("answers its rows, and stays")
    func commit() async throws {
        try await withDatabase { database, _ in
            let rows = try await database.write(
                "INSERT INTO item (name, amount) VALUES ($1, $2), ($3, $2) RETURNING name",
                [.text("a"), .integer(1), .text("b")])
            #expect(try rows.map { try $0.text("name") } == ["a", "b"])
            #expect(try await database.names == ["a", "b"])
            #expect(try await database.write("DELETE FROM item WHERE name = 'c' RETURNING name", []).isEmpty)
        }
    }

    @Test("that is refused leaves nothing of itself, nor touches its neighbours, of 200 at once")
    func neighbours() async throws {
        try await withDatabase { database, _ in
            try await database.insert("taken", 0)
            let stored = await withTaskGroup(of: String?.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let second = number % 3 == 0 ? "taken" : "second \(number)"
                        do {
                            // Every other one among writes of several statements.
                            if number % 2 == 0 {
                                _ = try await database.write(
                                    "INSERT INTO item (name, amount) VALUES ($1, 1), ($2, 1) RETURNING name",
                                    [.text("first \(number)"), .text(second)])
                            } else {
                                try await database.write { connection in
                                    for name in ["first \(number)", second] {
                                        try connection.execute("INSERT INTO item VALUES ($1, 1)", [.text(name)])
                                    }
                                }
                            }
                            return second
                        } catch {
                            return (error as? StorageError)?.code == .alreadyThere ? "taken" : nil
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(stored.count { $0 == "taken" } == 67)
            let numbers = (0..<200).filter { $0 % 3 != 0 }
            let expected = numbers.flatMap { ["first \($0)", "second \($0)"] } + ["taken"]
            #expect(try await Set(database.names) == Set(expected))
        }
    }

    @Test("with a NUL character or too few parameters is refused, and the next one isn't")
    func unusable() async throws {
        try await withDatabase { database, _ in
            for parameters in [[.text("a\0"), .integer(1)], [.text("a")]] as [[SQLValue]] {
                await #expect(throws: StorageError.self) {
                    try await database.write("INSERT INTO item VALUES ($1, $2) RETURNING name", parameters)
                }
            }
            try await database.insert("b", 1)
            #expect(try await database.names == ["b"])
        }
    }
}
