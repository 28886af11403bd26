import Dispatch
import Foundation
import JOSE
import Testing

@testable import KeyService

@Suite("A folder of keys that processes share, or that one was killed over")
struct KeyStoreInterruptionTests {
    @Test("is rotated by eight at once in good order")
    func rotations() async throws {
        try await withKeyFolder { _, path in
            let made = try await withThrowingTaskGroup(of: KeyRecord.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await FolderKeyStore(path: path, secret: .test("a")).rotate(at: at(5000))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let contents = try await FolderKeyStore(path: path, secret: .test("a")).contents()
            #expect(contents.damaged.isEmpty)
            #expect(Set(contents.records.map(\.keyID)).isSuperset(of: made.map(\.keyID)))
            let turns = contents.records.compactMap(\.activatesAt).sorted()
            #expect(turns.count == 9)
            #expect(Set(turns).count == 9)
            let ring = KeyRing(contents.records, clockLeeway: .seconds(30))
            for turn in turns { #expect(ring.active(.es256, at: turn)?.activatesAt == turn) }
        }
    }

    @Test("is started for the first time by one of several")
    func starts() async throws {
        try await withFolder { folder in
            let made = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await FolderKeyStore(path: folder + "/keys", secret: .test("a")).start(at: at(0)).count
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(made == 1)
            #expect(try keyFiles(in: folder + "/keys").count == 1)
        }
    }

    @Test("is never seen with a revocation but without the replacement")
    func consistentReading() async throws {
        try await withKeyFolder { store, path in
            let reader = try FolderKeyStore(path: path, secret: .test("a"))
            let reading = Task {
                var count = 0
                while !Task.isCancelled || count < 20 {
                    let contents = try await reader.contents()
                    #expect(contents.damaged.isEmpty)
                    #expect(contents.records.contains { $0.revokedAt == nil })
                    count += 1
                }
            }
            let administration = KeyAdministration(
                store: store, planner: KeyPlanner(schedule: .test), now: { at(1000) })
            for _ in 0..<25 {
                let active = try #require(try await store.contents().records.first { $0.revokedAt == nil })
                _ = try await administration.revoke(active.keyID, reason: "leaked")
            }
            reading.cancel()
            try await reading.value
        }
    }

    @Test("loses what a killed writer left unfinished, at the next change")
    func leftovers() async throws {
        try await withKeyFolder { store, path in
            let leftover = path + "/" + DurableFile.temporaryPrefix + "abc"
            try Data("half a key".utf8).write(to: URL(fileURLWithPath: leftover))
            let contents = try await store.contents()
            #expect(contents.records.count == 1)
            #expect(contents.damaged.isEmpty)
            try await store.rotate(at: at(1))
            #expect(!FileManager.default.fileExists(atPath: leftover))
            #expect(try fileNames(in: path).count == 3)
        }
    }

    /// What a first start leaves where it is killed after some of its file operations.
    private static func firstStart(killedAfter keys: Int, markIsThere: Bool, in path: String) async throws {
        let store = try FolderKeyStore(path: path, secret: .test("a"))
        try await store.start(.test { $0.algorithms = Array([.es256, .es384].prefix(keys)) }, at: at(0))
        if markIsThere { try Data().write(to: URL(fileURLWithPath: path + "/.first-keys")) }
    }

    @Test("after a first start that was killed gets the rest of its keys, which sign at once", arguments: [0, 1, 2])
    func firstStart(_ keys: Int) async throws {
        try await withFolder { folder in
            let path = folder + "/keys"
            try await Self.firstStart(killedAfter: keys, markIsThere: true, in: path)
            let schedule = KeySchedule.test { $0.algorithms = [.es256, .es384] }
            let store = try FolderKeyStore(path: path, secret: .test("a"))
            #expect(try await store.contents().isNew)
            #expect(try await store.start(schedule, at: at(60)).count == 2 - keys)
            let contents = try await store.contents()
            #expect(!contents.isNew)
            let ring = KeyRing(contents.records, clockLeeway: .seconds(30))
            for algorithm in schedule.algorithms { #expect(ring.active(algorithm, at: at(60)) != nil) }
        }
    }

    @Test("that was announced lets a further algorithm wait")
    func announced() async throws {
        try await withFolder { folder in
            try await Self.firstStart(killedAfter: 1, markIsThere: false, in: folder + "/keys")
            let store = try FolderKeyStore(path: folder + "/keys", secret: .test("a"))
            #expect(try await !store.contents().isNew)
            let made = try await store.start(.test { $0.algorithms = [.es256, .es384] }, at: at(60))
            #expect(made.map(\.record?.activatesAt) == [at(3660)])
        }
    }

    @Test("is read by others while one changes it")
    func readingNeedsNoLock() async throws {
        try await withKeyFolder { store, path in
            let reader = try FolderKeyStore(path: path, secret: .test("a"))
            let read = DispatchSemaphore(value: 0)
            let reading = Task {
                defer { read.signal() }
                return try await reader.contents().records.count
            }
            try await store.change { _ in
                // The lock is held here.
                read.wait()
                return ([], ())
            }
            #expect(try await reading.value == 1)
        }
    }
}
