import JOSE
import TestSupport
import Testing

@testable import KeyService

@Suite("A key service whose store can't be written")
struct FullDiskTests {
    @Test("says so once, and again where it was over in between", arguments: KeyPlace.allCases)
    func saidOnce(_ place: KeyPlace) async throws {
        try await place.started { store, _ in
            let clock = TestClock(at(0))
            let log = TestLog()
            let full = FullStore(store)
            let service = try await KeyService(
                store: full, planner: KeyPlanner(schedule: .test), now: { clock.now }, logger: log.logger)
            for round in 1...2 {
                full.isFull.withLock { $0 = true }
                // Past the half of what was recorded ahead; the last token is still covered.
                for second: Int64 in 0..<10 {
                    clock.now = at(Int64(round) * 100 + second)
                    try await service.refresh()
                }
                #expect(try service.current().signingKey != nil)
                #expect(log.messages.count { $0 == "error: can't write the keys' records: no space" } == round)
                full.isFull.withLock { $0 = false }
                try await service.refresh()
            }
            #expect(log.messages.count == 2)
        }
    }
}

/// A store without space, for a while.
private final class FullStore: KeyStore {
    let isFull = Locked(false)
    private let store: any KeyStore

    init(_ store: any KeyStore) { self.store = store }

    var place: String { store.place }

    func contents() async throws -> KeyStoreContents { try await store.contents() }

    func privateKey(of record: KeyRecord) async throws -> PrivateKey { try await store.privateKey(of: record) }

    func change<Result: Sendable>(
        _ decide: @escaping @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Result)
    ) async throws -> Result {
        if isFull.withLock({ $0 }) { throw KeyServiceError(.storage, "no space") }
        return try await store.change(decide)
    }

    func version() async throws -> KeyStoreVersion { try await store.version() }

    func reencrypt() async throws -> Int { try await store.reencrypt() }

    func texts() async throws -> [String] { try await store.texts() }

    func adopt(_ texts: [String]) async throws { try await store.adopt(texts) }
}
