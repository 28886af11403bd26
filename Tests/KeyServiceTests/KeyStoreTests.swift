import JOSE
import Storage
import Testing

@testable import KeyService

@Suite("A store of keys")
struct KeyStoreTests {
    @Test("gives records back as they were stored", arguments: KeyPlace.allCases)
    func roundTrip(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
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

    @Test("gives a private half that signs for the public one, until it is erased", arguments: KeyPlace.allCases)
    func privateKey(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            let record = try #require(try await store.contents().records.first)
            let key = try await store.privateKey(of: record)
            let signature = try key.signature(of: [1, 2, 3], algorithm: .es256)
            #expect(try record.publicKey.isValidSignature(signature, of: [1, 2, 3], algorithm: .es256))
            try await store.change { _ in ([.erasePrivateKey(record)], ()) }
            #expect(try await store.contents().records.map(\.hasPrivateKey) == [false])
            try await place.edit(record.keyID) { text in
                #expect(!text.contains("PRIVATE"))
                return text
            }
            await #expect(throws: KeyServiceError.self) { try await store.privateKey(of: record) }
        }
    }

    @Test("forgets a key that is removed", arguments: KeyPlace.allCases)
    func remove(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
            let before = try await store.contents().records
            let record = try await store.rotate(at: at(1))
            try await store.change { _ in ([.remove(record)], ()) }
            #expect(try await store.contents().records.map(\.keyID) == before.map(\.keyID))
        }
    }

    @Test("has another version after each change, and only then", arguments: KeyPlace.allCases)
    func version(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
            var versions = [try await store.version()]
            #expect(try await store.version() == versions[0])
            _ = try await store.contents()
            try await store.change { _ in ([], ()) }
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

    @Test("has another version in another history of the database, whatever the changes' number")
    func history() async throws {
        try await withFolder { folder in
            let database = try SQLiteDatabase(path: folder + "/keys.sqlite")
            try await database.migrate([Migration(version: 1, name: "keys", statements: DatabaseKeyStore.tables)])
            var versions: Set<KeyStoreVersion> = []
            for timeline in ["00000001", "00000002"] {
                let store = try DatabaseKeyStore(
                    database: InHistory(base: database, timeline: timeline), secret: .test("a"))
                versions.insert(try await store.version())
            }
            #expect(versions.count == 2)
        }
    }

    @Test("changes nothing where the decision fails", arguments: KeyPlace.allCases)
    func refusal(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
            let version = try await store.version()
            let error = await #expect(throws: KeyServiceError.self) {
                try await store.change { _ -> ([KeyChange], Void) in throw KeyServiceError(.refused, "no") }
            }
            #expect(error?.code == .refused)
            let after = try await store.version()
            #expect(after == version)
        }
    }

    @Test("is changed by one at a time", arguments: KeyPlace.allCases)
    func atOnce(_ place: KeyPlace) async throws {
        try await place.started { _, place in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await place.store(.test("a")).rotate(immediately: true, at: at(1)) }
                }
                try await group.waitForAll()
            }
            let contents = try await place.store(.test("a")).contents()
            #expect(contents.damaged.isEmpty)
            let ring = KeyPlanner(schedule: .test).ring(contents.records)
            let states = ring.records.map { ring.state(of: $0, at: at(2)) }
            #expect(states.count { $0 == .active } == 1)
            #expect(!states.contains(.pending))
        }
    }

    @Test("of which one key is damaged goes on with the others", arguments: KeyPlace.allCases)
    func damaged(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            let first = try #require(try await store.contents().records.first)
            let second = try await store.rotate(at: at(1))
            try await place.damage(first.keyID)
            let contents = try await store.contents()
            #expect(contents.records.map(\.keyID) == [second.keyID])
            #expect(contents.damaged.map { $0.name.contains(first.keyID.rawValue) } == [true])
        }
    }

    // MARK: From one store to another

    @Test(
        "moves to another with revoked keys and other systems', and signs as before", arguments: KeyPlace.allCases,
        KeyPlace.allCases)
    func migration(_ from: KeyPlace, _ to: KeyPlace) async throws {
        try await from.started { store, _ in
            let planner = KeyPlanner(schedule: .test)
            let first = try #require(try await store.contents().records.first)
            let administration = KeyAdministration(store: store, planner: planner, now: { at(10) })
            _ = try await administration.revoke(first.keyID, reason: "leaked")
            let foreign = try verifyOnlyRecord(until: at(9000))
            try await store.change { _ in ([.add(foreign, nil)], ()) }
            let texts = try await store.texts()
            try await to.empty { place in
                let other = try place.store(.test("a"))
                try await other.adopt(texts)
                let contents = try await other.contents()
                #expect(!contents.isNew)
                #expect(contents.damaged.isEmpty)
                let before = try await store.contents().records
                #expect(Set(contents.records.map(\.keyID)) == Set(before.map(\.keyID)))
                #expect(contents.records.first { $0.keyID == first.keyID }?.revocationReason == "leaked")
                for record in contents.records where record.hasPrivateKey {
                    #expect(try await other.privateKey(of: record).publicKey == record.publicKey)
                }
                #expect(try await other.texts().sorted() == texts.sorted())
            }
        }
    }

    @Test("doesn't take another's keys where it has some", arguments: KeyPlace.allCases)
    func occupied(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
            let texts = try await store.texts()
            let error = await #expect(throws: KeyServiceError.self) { try await store.adopt(texts) }
            #expect(error?.code == .refused)
        }
    }

    // MARK: Under the master secret

    @Test("locks private halves under the master secret", arguments: KeyPlace.allCases)
    func encrypted(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            let record = try #require(try await store.contents().records.first)
            try await place.edit(record.keyID) { text in
                #expect(text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
                return text
            }
        }
    }

    @Test(
        "is opened by any line of the master secret", arguments: KeyPlace.allCases,
        [["a", "b"], ["b", "a"], ["b", "c", "a"]] as [[Character]])
    func lines(_ place: KeyPlace, _ letters: [Character]) async throws {
        try await place.started { store, place in
            let first = try #require(try await store.contents().records.first)
            let text = letters.map(MasterSecret.line).joined(separator: "\n")
            let other = try place.store(MasterSecret(text: text))
            let key = try await other.privateKey(of: first)
            #expect(key.publicKey == first.publicKey)
            let second = try await other.rotate(at: at(1))
            #expect(try await other.privateKey(of: second).publicKey == second.publicKey)
            let contents = try await other.contents()
            #expect(contents.records.count == 2)
            #expect(contents.damaged.isEmpty)
        }
    }

    @Test("needs only a promoted line for a key that is made after", arguments: KeyPlace.allCases)
    func promoted(_ place: KeyPlace) async throws {
        try await place.started { _, place in
            let second = try await place.store(.test("b", "a")).rotate(at: at(1))
            let contents = try await place.store(.test("b")).contents()
            #expect(contents.records.map(\.keyID) == [second.keyID])
            #expect(contents.damaged.count == 1)
        }
    }

    @Test("is encrypted anew under the first line, which then is enough", arguments: KeyPlace.allCases)
    func reencrypt(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            try await store.rotate(at: at(1))
            let foreign = try verifyOnlyRecord(until: at(9000))
            try await store.change { _ in ([.add(foreign, nil)], ()) }
            let both = try place.store(.test("b", "a"))
            #expect(try await both.reencrypt() == 2)
            let alone = try place.store(.test("b"))
            let contents = try await alone.contents()
            #expect(contents.records.count == 3)
            #expect(contents.damaged.isEmpty)
            for record in contents.records where record.hasPrivateKey {
                #expect(try await alone.privateKey(of: record).publicKey == record.publicKey)
            }
            await #expect(throws: KeyServiceError.self) { try await store.contents() }
        }
    }

    @Test("is encrypted anew but for a damaged key, which is named", arguments: KeyPlace.allCases)
    func reencryptDamaged(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            let first = try #require(try await store.contents().records.first)
            let second = try await store.rotate(at: at(1))
            try await place.damage(first.keyID)
            let both = try place.store(.test("b", "a"))
            let error = await #expect(throws: KeyServiceError.self) { try await both.reencrypt() }
            #expect(error?.reason.contains(first.keyID.rawValue) == true)
            let alone = try place.store(.test("b"))
            #expect(try await alone.privateKey(of: second).publicKey == second.publicKey)
        }
    }

    @Test("isn't changed under another master secret", arguments: KeyPlace.allCases)
    func wrongSecret(_ place: KeyPlace) async throws {
        try await place.started { store, place in
            let texts = try await store.texts()
            let other = try place.store(.test("b"))
            let starting = await #expect(throws: KeyServiceError.self) { try await other.start(at: at(1)) }
            let rotating = await #expect(throws: KeyServiceError.self) { try await other.rotate(at: at(1)) }
            for error in [starting, rotating] {
                #expect(error?.code == .masterSecret)
                #expect(error?.reason.contains("bbbb") == false)
            }
            #expect(try await store.texts() == texts)
        }
    }
}

/// A database that says that it is of another history, as after a fail-over.
private struct InHistory: Database {
    let base: any Database
    let timeline: String

    struct Connection: Storage.Connection {
        let base: any Storage.Connection
        let timeline: String?

        func query(_ sql: String, _ parameters: [SQLValue]) throws -> [Row] { try base.query(sql, parameters) }

        func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int { try base.execute(sql, parameters) }

        func hold(_ lock: TransactionLock) throws { try base.hold(lock) }

        func takeTime() throws { try base.takeTime() }

        func announceChange() throws { try base.announceChange() }
    }

    func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Storage.Connection) throws -> Result
    ) async throws -> Result {
        try await base.read { [timeline] in try body(Connection(base: $0, timeline: timeline)) }
    }

    func write<Result: Sendable>(
        _ body: @escaping @Sendable (any Storage.Connection) throws -> Result
    ) async throws -> Result {
        try await base.write { [timeline] in try body(Connection(base: $0, timeline: timeline)) }
    }

    func write(_ sql: String, _ parameters: [SQLValue]) async throws -> [Row] { try await base.write(sql, parameters) }

    func changes(at url: String?) -> AsyncStream<Void> { base.changes(at: url) }

    func close() throws { try base.close() }
}
