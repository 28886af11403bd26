import Foundation
import JOSE
import Testing

@testable import KeyService

/// Runs a test over a folder of keys that a first start made, with its master secret `a…a`.
func withKeyFolder(
    _ schedule: KeySchedule = .test, _ body: (FolderKeyStore, _ path: String) async throws -> Void
) async throws {
    try await withFolder { folder in
        let store = try FolderKeyStore(path: folder + "/keys", secret: .test("a"))
        try await store.start(schedule, at: at(0))
        try await body(store, folder + "/keys")
    }
}

extension FolderKeyStore {
    @discardableResult
    func start(_ schedule: KeySchedule = .test, at now: Instant) async throws -> [KeyChange] {
        try await change { contents in
            let changes = try KeyPlanner(schedule: schedule).start(contents, at: now)
            return (changes, changes)
        }
    }

    @discardableResult
    func rotate(_ schedule: KeySchedule = .test, immediately: Bool = false, at now: Instant) async throws -> KeyRecord {
        let administration = KeyAdministration(store: self, planner: KeyPlanner(schedule: schedule), now: { now })
        let outcome = try await administration.rotate(nil, immediately: immediately, dryRun: false)
        return try #require(outcome.changes.first?.record)
    }
}

func fileNames(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

func keyFiles(in folder: String) throws -> [String] {
    try fileNames(in: folder).filter { $0.hasSuffix(".pem") }.map { folder + "/" + $0 }
}

func permissions(of path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
}

@Suite("A folder of keys")
struct FolderKeyStoreTests {
    @Test("holds each key under its thumbprint")
    func names() async throws {
        try await withKeyFolder(.test { $0.algorithms = [.es256, .es384] }) { store, path in
            let records = try await store.contents().records
            #expect(records.count == 2)
            #expect(try keyFiles(in: path) == records.map { "\(path)/\($0.keyID).pem" }.sorted())
            #expect(FolderKeyStore.hasKeys(path: path))
            #expect(!FolderKeyStore.hasKeys(path: path + "/missing"))
        }
    }

    @Test("is entered by its owner only, also where others could", arguments: [nil, 0o755, 0o777, 0o700])
    func modes(_ mode: Int?) async throws {
        try await withFolder { folder in
            let path = folder + "/keys"
            if let mode {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: mode])
            }
            let store = try FolderKeyStore(path: path, secret: .test("a"))
            try await store.start(at: at(0))
            #expect(try permissions(of: path) == 0o700)
            for name in try fileNames(in: path) { #expect(try permissions(of: path + "/" + name) == 0o600) }
        }
    }

    @Test("gives records back as they were stored")
    func roundTrip() async throws {
        try await withKeyFolder { store, _ in
            let planner = KeyPlanner(schedule: .test)
            let key = try PrivateKey.generate(for: .rs256).publicKey
            try await store.change { contents in
                (
                    [
                        try planner.importingVerifyOnly(
                            JWK(key), keyID: KeyID("../old key/ü"), until: at(9000), contents, at: at(1))
                    ], ()
                )
            }
            let before = try await store.contents().records
            let first = try #require(before.first { $0.algorithm == .es256 })
            let changes = try planner.revocation(
                of: first.keyID, reason: "found\nin a \"log\"", await store.contents(), at: at(50))
            try await store.change { _ in (changes, ()) }
            let contents = try await store.contents()
            #expect(contents.damaged.isEmpty)
            #expect(!contents.isNew)
            let expected = before.applying(changes)
            #expect(contents.records.count == expected.count)
            for record in contents.records {
                let other = try #require(expected.first { $0.keyID == record.keyID })
                #expect(try record.members == other.members)
                #expect(record.thumbprint == other.thumbprint)
                #expect(record.hasPrivateKey == other.hasPrivateKey)
            }
        }
    }

    @Test("gives a private half that signs for the public one, until it is erased")
    func privateKey() async throws {
        try await withKeyFolder { store, path in
            let record = try #require(try await store.contents().records.first)
            let key = try await store.privateKey(of: record)
            let signature = try key.signature(of: [1, 2, 3], algorithm: .es256)
            #expect(try record.publicKey.isValidSignature(signature, of: [1, 2, 3], algorithm: .es256))
            try await store.change { _ in ([.erasePrivateKey(record)], ()) }
            #expect(try await store.contents().records.map(\.hasPrivateKey) == [false])
            #expect(try !String(contentsOfFile: keyFiles(in: path)[0], encoding: .utf8).contains("PRIVATE"))
            await #expect(throws: KeyServiceError.self) { try await store.privateKey(of: record) }
        }
    }

    @Test("forgets a key that is removed")
    func remove() async throws {
        try await withKeyFolder { store, path in
            let record = try await store.rotate(at: at(1))
            try await store.change { _ in ([.remove(record)], ()) }
            #expect(try keyFiles(in: path).count == 1)
            #expect(try await store.contents().records.count == 1)
        }
    }

    @Test("has another version after each change, and only then")
    func version() async throws {
        try await withKeyFolder { store, path in
            var versions = [try await store.version()]
            #expect(try await store.version() == versions[0])
            _ = try await store.contents()
            try await store.change { _ in ([], ()) }
            try Data("a".utf8).write(to: URL(fileURLWithPath: path + "/README.md"))
            #expect(try await store.version() == versions[0])
            let second = try await store.rotate(at: at(1))
            versions.append(try await store.version())
            for change in [KeyChange.update(second), .erasePrivateKey(second), .remove(second)] {
                try await store.change { _ in ([change], ()) }
                versions.append(try await store.version())
            }
            _ = try await store.reencrypt()
            versions.append(try await store.version())
            #expect(Set(versions.dropLast(2)).count == 4)
            #expect(versions.last != versions.dropLast().last)
        }
    }

    @Test("changes nothing where the decision fails")
    func refusal() async throws {
        try await withKeyFolder { store, _ in
            let version = try await store.version()
            let error = await #expect(throws: KeyServiceError.self) {
                try await store.change { _ -> ([KeyChange], Void) in throw KeyServiceError(.refused, "no") }
            }
            #expect(error?.code == .refused)
            let after = try await store.version()
            #expect(after == version)
        }
    }

    @Test("may hold other files")
    func foreignFiles() async throws {
        try await withFolder { folder in
            let path = folder + "/keys"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            for name in ["README.md", ".gitignore"] {
                try Data("a".utf8).write(to: URL(fileURLWithPath: path + "/" + name))
            }
            #expect(!FolderKeyStore.hasKeys(path: path))
            let store = try FolderKeyStore(path: path, secret: .test("a"))
            #expect(try await store.contents().isNew)
            try await store.start(at: at(0))
            let contents = try await store.contents()
            #expect(contents.records.count == 1)
            #expect(contents.damaged.isEmpty)
            #expect(try fileNames(in: path).filter { !$0.hasSuffix(".pem") } == [".gitignore", ".lock", "README.md"])
        }
    }

    @Test("that is a file, or lies in one, is refused", arguments: ["keys", "keys/keys", "missing/keys"])
    func notAFolder(_ name: String) async throws {
        try await withFolder { folder in
            try Data().write(to: URL(fileURLWithPath: folder + "/keys"))
            let error = #expect(throws: KeyServiceError.self) {
                try FolderKeyStore(path: folder + "/" + name, secret: .test("a"))
            }
            #expect(error?.code == .storage)
            #expect(error?.reason.contains(folder + "/" + name) == true)
        }
    }

    @Test("that can't be written any more says so, and still can be read")
    func unwritable() async throws {
        try await withKeyFolder { store, path in
            // The privileges of root pass over modes, but no privilege opens a folder as a file.
            try FileManager.default.removeItem(atPath: path + "/.lock")
            try FileManager.default.createDirectory(atPath: path + "/.lock", withIntermediateDirectories: false)
            let error = await #expect(throws: KeyServiceError.self) { try await store.rotate(at: at(1)) }
            #expect(error?.code == .storage)
            #expect(error?.reason.contains(path) == true)
            let records = try await store.contents().records
            #expect(records.count == 1)
        }
    }

    @Test("that is gone says so")
    func gone() async throws {
        try await withKeyFolder { store, path in
            try FileManager.default.removeItem(atPath: path)
            for read in [{ _ = try await store.contents() }, { _ = try await store.version() }] {
                let error = await #expect(throws: KeyServiceError.self) { try await read() }
                #expect(error?.code == .storage)
            }
            await #expect(throws: KeyServiceError.self) { try await store.rotate(at: at(1)) }
        }
    }
}
