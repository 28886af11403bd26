import JOSE
import Logging
import TestSupport
import Testing

@testable import KeyService

@Suite("What a key service publishes, and what it bears")
struct KeyServiceDocumentTests {
    private static func withService(
        _ place: KeyPlace, _ schedule: KeySchedule = .test,
        _ body: (
            _ service: KeyService, _ store: any KeyStore, TestClock, TestLog, OpenPlace
        ) async throws -> Void
    ) async throws {
        try await place.started(schedule) { store, place in
            let clock = TestClock(at(0))
            let log = TestLog()
            let service = try await KeyService(
                store: place.store(.test("a")), planner: KeyPlanner(schedule: schedule), now: { clock.now },
                logger: log.logger)
            try await body(service, store, clock, log, place)
        }
    }

    @Test("has the public members only", arguments: KeyPlace.allCases)
    func publicMembers(_ place: KeyPlace) async throws {
        try await Self.withService(place, .test { $0.algorithms = [.es256, .rs256, .edDSA] }) { service, _, _, _, _ in
            let document = try JSONObject(json: try service.current().jwks)
            #expect(document.members.map(\.name) == ["keys"])
            let keys = try #require(document["keys"]?.array).compactMap(\.object)
            #expect(keys.count == 3)
            for key in keys {
                let expected: Set =
                    switch key["kty"]?.string {
                    case "RSA": ["kty", "n", "e", "kid", "alg", "use"]
                    case "EC": ["kty", "crv", "x", "y", "kid", "alg", "use"]
                    default: ["kty", "crv", "x", "kid", "alg", "use"]
                    }
                #expect(Set(key.members.map(\.name)) == expected)
                #expect(key["use"]?.string == "sig")
            }
        }
    }

    @Test("stays the same byte for byte until a key comes or goes", arguments: KeyPlace.allCases)
    func stable(_ place: KeyPlace) async throws {
        try await Self.withService(place) { service, store, clock, _, _ in
            let first = try service.current()
            #expect(first.entityTag.wholeMatch(of: /"[A-Za-z0-9_-]+"/) != nil)
            for second: Int64 in [1, 3600, 86_400] {
                clock.now = at(second)
                try await service.refresh()
                #expect(try service.current().jwks == first.jwks)
                #expect(try service.current().entityTag == first.entityTag)
            }
            try await store.rotate(at: at(86_400))
            try await service.refresh()
            let second = try service.current()
            #expect(second.jwks != first.jwks)
            #expect(second.entityTag != first.entityTag)
            // The takeover changes who signs, not what is published.
            clock.now = at(90_000)
            let third = try service.current()
            #expect(third.signingKey?.keyID != second.signingKey?.keyID)
            #expect(third.jwks == second.jwks)
            #expect(third.entityTag == second.entityTag)
            clock.now = at(90_630)
            let fourth = try service.current()
            #expect(fourth.entityTag != first.entityTag)
            #expect(fourth.entityTag != second.entityTag)
        }
    }

    @Test("is the same on every node", arguments: KeyPlace.allCases)
    func nodes(_ place: KeyPlace) async throws {
        try await Self.withService(place, .test { $0.algorithms = [.es256, .es384, .edDSA] }) {
            service, store, clock, log, _ in
            let other = try await KeyService(
                store: store, planner: KeyPlanner(schedule: .test { $0.algorithms = [.es256, .es384, .edDSA] }),
                now: { clock.now }, logger: log.logger)
            #expect(try other.current().jwks == service.current().jwks)
            #expect(try other.current().entityTag == service.current().entityTag)
        }
    }

    @Test("is made once between two changes", arguments: KeyPlace.allCases)
    func prepared(_ place: KeyPlace) async throws {
        try await Self.withService(place) { service, _, clock, _, _ in
            let view = try service.current()
            clock.now = at(1000)
            #expect(try service.current() === view)
        }
    }

    // MARK: Damage

    @Test("has the other algorithm sign where the key of one is damaged", arguments: KeyPlace.allCases, [true, false])
    func damaged(_ place: KeyPlace, _ isRunning: Bool) async throws {
        let schedule = KeySchedule.test { $0.algorithms = [.es256, .es384] }
        try await Self.withService(place, schedule) { service, store, clock, log, place in
            let first = try #require(try service.current().signingKey?.accessTokens)
            #expect(first.algorithm == .es256)
            try await place.damage(first.keyID)
            var service = service
            if isRunning {
                try await service.refresh()
            } else {
                service = try await KeyService(
                    store: store, planner: KeyPlanner(schedule: schedule), now: { clock.now }, logger: log.logger)
            }
            #expect(try service.current().signingKey?.accessTokens.algorithm == .es384)
            #expect(log.messages.contains { $0.hasPrefix("error:") && $0.contains(first.keyID.rawValue) })
        }
    }

    @Test("goes on publishing a key whose private half is damaged", arguments: KeyPlace.allCases)
    func damagedPrivateHalf(_ place: KeyPlace) async throws {
        let schedule = KeySchedule.test { $0.algorithms = [.es256, .es384] }
        try await Self.withService(place, schedule) { service, store, clock, log, place in
            let first = try #require(try service.current().signingKey?.accessTokens)
            try await place.edit(first.keyID) { $0.replacing("-----BEGIN ENCRYPTED", with: "-----BEGIN DAMAGED") }
            let other = try await KeyService(
                store: store, planner: KeyPlanner(schedule: schedule), now: { clock.now }, logger: log.logger)
            #expect(try other.current().signingKey?.accessTokens.algorithm == .es384)
            #expect(try other.current().jwks == service.current().jwks)
            #expect(log.messages.contains { $0.hasPrefix("error:") && $0.contains(first.keyID.rawValue) })
        }
    }

    @Test(
        "comes back when what couldn't be read for a while can be, without any change to the store",
        arguments: KeyPlace.allCases)
    func transient(_ place: KeyPlace) async throws {
        try await Self.withService(place) { _, store, clock, log, _ in
            try await store.rotate(at: at(0))
            let flaky = FlakyStore(store)
            let service = try await KeyService(
                store: flaky, planner: KeyPlanner(schedule: .test), now: { clock.now }, logger: log.logger)
            #expect(try service.current().keySet.keys.count == 1)
            flaky.isWhole.withLock { $0 = true }
            try await service.refresh()
            #expect(try service.current().keySet.keys.count == 2)
            #expect(try service.current().signingKey != nil)
            #expect(log.messages.count { $0.hasPrefix("error:") } == 1)
        }
    }

    @Test("is kept in memory where the store can't be read any more", arguments: KeyPlace.allCases, [true, false])
    func unreadable(_ place: KeyPlace, _ isEmptied: Bool) async throws {
        try await Self.withService(place) { service, store, clock, _, place in
            let first = try service.current()
            for record in try await store.contents().records {
                try await place.edit(record.keyID) { _ in isEmptied ? nil : "" }
            }
            for _ in 0..<2 { await #expect(throws: KeyServiceError.self) { try await service.refresh() } }
            clock.now = at(3600)
            let view = try service.current()
            #expect(view.jwks == first.jwks)
            #expect(view.signingKey?.keyID == first.signingKey?.keyID)
        }
    }

    @Test("leaves no secret in the log", arguments: KeyPlace.allCases)
    func log(_ place: KeyPlace) async throws {
        try await Self.withService(place) { service, store, _, log, place in
            let first = try #require(try await store.contents().records.first)
            try await store.rotate(at: at(1))
            try await place.edit(first.keyID) { _ in MasterSecret.line("a") }
            try await service.refresh()
            #expect(!log.messages.isEmpty)
            #expect(!log.messages.joined().contains("aaaa"))
        }
    }
}

/// A store of which one key can't be read at first.
private final class FlakyStore: KeyStore {
    let isWhole = Locked(false)
    private let store: any KeyStore

    var place: String { store.place }

    init(_ store: any KeyStore) { self.store = store }

    func contents() async throws -> KeyStoreContents {
        let contents = try await store.contents()
        guard !isWhole.withLock({ $0 }) else { return contents }
        let records = contents.records.sorted { $0.activatesAt! < $1.activatesAt! }
        return KeyStoreContents(
            records: records.dropLast(), damaged: [DamagedKey(name: "a key", reason: "too many open files")],
            isNew: false)
    }

    func privateKey(of record: KeyRecord) async throws -> PrivateKey { try await store.privateKey(of: record) }

    func change<Result: Sendable>(
        _ decide: @escaping @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Result)
    ) async throws -> Result { try await store.change(decide) }

    func version() async throws -> KeyStoreVersion { try await store.version() }

    func reencrypt() async throws -> Int { try await store.reencrypt() }

    func texts() async throws -> [String] { try await store.texts() }

    func adopt(_ texts: [String]) async throws { try await store.adopt(texts) }
}
