import Foundation
import JOSE
import Storage
import TestSupport
import Testing

@testable import KeyService

/// Where the keys of a test rest.
enum KeyPlace: CaseIterable {
    case folder, database

    /// Runs a test over an empty place.
    func empty(_ body: (OpenPlace) async throws -> Void) async throws {
        try await withFolder { folder in
            switch self {
            case .folder:
                try await body(
                    OpenPlace(
                        store: { try FolderKeyStore(path: folder + "/keys", secret: $0) },
                        edit: { keyID, edit in
                            let file = URL(fileURLWithPath: folder + "/keys/\(keyID).pem")
                            let text = try edit(String(contentsOf: file, encoding: .utf8))
                            guard let text else { return try FileManager.default.removeItem(at: file) }
                            try Data(text.utf8).write(to: file)
                        }))
            case .database:
                let address = try await DatabaseAddress(TestDatabase.address(URL(fileURLWithPath: folder)))
                let database = try address.open()
                defer { try? database.close() }
                try await database.migrate([Migration(version: 1, name: "keys", statements: DatabaseKeyStore.tables)])
                try await body(
                    OpenPlace(
                        store: { try DatabaseKeyStore(database: database, secret: $0) },
                        edit: { keyID, edit in
                            try await database.write { connection in
                                try connection.execute("UPDATE key_changes SET number = number + 1")
                                let id = [SQLValue.text(keyID.rawValue)]
                                let row = try connection.query("SELECT file FROM keys WHERE id = $1", id)[0]
                                guard let text = try edit(row.text("file")) else {
                                    try connection.execute("DELETE FROM keys WHERE id = $1", id)
                                    return
                                }
                                try connection.execute("UPDATE keys SET file = $2 WHERE id = $1", id + [.text(text)])
                            }
                        }))
            }
        }
    }

    /// Runs a test over a place whose keys a first start made, under the master secret `a…a`.
    func started(
        _ schedule: KeySchedule = .test, _ body: (any KeyStore, OpenPlace) async throws -> Void
    ) async throws {
        try await empty { place in
            let store = try place.store(.test("a"))
            try await store.start(schedule, at: at(0))
            try await body(store, place)
        }
    }
}

/// A place for keys while a test runs.
struct OpenPlace: Sendable {
    /// The place as a process with this master secret sees it.
    let store: @Sendable (MasterSecret) throws -> any KeyStore
    /// Changes the text of a key past the store, or removes it.
    let edit: @Sendable (KeyID, @escaping @Sendable (String) throws -> String?) async throws -> Void

    /// Leaves nothing of a key that could be read.
    func damage(_ keyID: KeyID) async throws { try await edit(keyID) { _ in "" } }
}

extension KeyStore {
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
