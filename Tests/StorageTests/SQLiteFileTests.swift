import Foundation
import Storage
import Testing

@Suite("The file of an SQLite database")
struct SQLiteFileTests {
    @Test("is synced fully at every commit, and keeps a write-ahead log")
    func pragmas() async throws {
        try await withFile { database, _ in
            let rows = try await database.write {
                try ($0.query("PRAGMA synchronous")[0], $0.query("PRAGMA journal_mode")[0])
            }
            #expect(try rows.0.integer("synchronous") == 2)
            #expect(try rows.1.text("journal_mode") == "wal")
        }
    }

    @Test("is still synced fully when it is opened again")
    func pragmasOfASecondOpener() async throws {
        try await withFile { database, path in
            let second = try SQLiteDatabase(path: path)
            defer { try? second.close() }
            let row = try await second.write { try $0.query("PRAGMA synchronous")[0] }
            #expect(try row.integer("synchronous") == 2)
        }
    }

    @Test("is its owner's only, and so are the files beside it", arguments: ["", "-wal", "-shm"])
    func mode(_ suffix: String) async throws {
        try await withFile { database, path in
            try await database.insert("a", 1)
            let attributes = try FileManager.default.attributesOfItem(atPath: path + suffix)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test("keeps what was written when it is closed and opened")
    func reopening() async throws {
        try await withFile { database, path in
            try await database.insert("a", 1)
            try database.close()
            let second = try SQLiteDatabase(path: path)
            defer { try? second.close() }
            #expect(try await second.names == ["a"])
        }
    }

    @Test("can be opened twice in one process")
    func twice() async throws {
        try await withFile { database, path in
            let second = try SQLiteDatabase(path: path)
            try await second.insert("a", 1)
            try second.close()
            try await database.insert("b", 2)
            #expect(try await database.names == ["a", "b"])
        }
    }

    @Test("can be made by two at once")
    func atOnce() async throws {
        try await withFolder { folder in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let database = try SQLiteDatabase(path: folder + "/test.sqlite")
                        try await database.run("CREATE TABLE IF NOT EXISTS item (name TEXT)")
                        try database.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(
        "is refused as unavailable where it can't be made or isn't one",
        arguments: ["missing/test.sqlite", "folder", "text", "file/test.sqlite"])
    func unopenable(_ name: String) async throws {
        try await withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder + "/folder", withIntermediateDirectories: true)
            try Data(String(repeating: "not a database ", count: 100).utf8).write(
                to: URL(fileURLWithPath: folder + "/text"))
            try Data().write(to: URL(fileURLWithPath: folder + "/file"))
            let error = #expect(throws: StorageError.self) { try SQLiteDatabase(path: folder + "/" + name) }
            #expect(error?.code == .unavailable)
            #expect(error?.reason.contains(folder + "/" + name) == true)
        }
    }

    @Test("answers no more once it is closed")
    func closed() async throws {
        try await withFile { database, _ in
            try database.close()
            let reading = await #expect(throws: StorageError.self) { try await database.names }
            let writing = await #expect(throws: StorageError.self) { try await database.insert("a", 1) }
            #expect(reading?.code == .unavailable)
            #expect(writing?.code == .unavailable)
        }
    }
}
