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
            let version = try await store.version()
            try Data("b".utf8).write(to: URL(fileURLWithPath: path + "/README.md"))
            #expect(try await store.version() == version)
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

    @Test("that isn't there is named where it isn't to be made, and isn't made")
    func missing() async throws {
        try await withFolder { folder in
            let path = folder + "/keys"
            let error = #expect(throws: KeyServiceError.self) {
                try FolderKeyStore(path: path, secret: .test("a"), creating: false)
            }
            #expect(error?.code == .badSettings)
            #expect(error?.reason.contains(path) == true)
            #expect(try fileNames(in: folder).isEmpty)
            _ = try FolderKeyStore(path: path, secret: .test("a"))
            _ = try FolderKeyStore(path: path, secret: .test("a"), creating: false)
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
