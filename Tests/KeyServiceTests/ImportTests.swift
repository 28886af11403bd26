import JOSE
import Testing

@testable import KeyService

@Suite("An imported key")
struct ImportTests {
    private let planner = KeyPlanner(schedule: .test)
    private var shelf = Shelf()
    private let key: PrivateKey

    init() throws {
        try shelf.start(at: at(0))
        key = try .generate(for: .es256)
    }

    private func refusal(_ key: JWK, activateAt: Instant? = nil, at now: Instant = at(1000)) -> KeyServiceError? {
        #expect(throws: KeyServiceError.self) {
            try planner.importing(key, activateAt: activateAt, shelf.contents, at: now)
        }
    }

    @Test("is pending for publish-ahead, then signs")
    mutating func pending() throws {
        let imported = try #require(
            try planner.importing(JWK(key), activateAt: nil, shelf.contents, at: at(1000)).record)
        shelf.apply([.add(imported, key)])
        #expect(imported.keyID == (try key.publicKey.thumbprint()))
        #expect(try shelf.state(of: imported, at: at(4599)) == .pending)
        #expect(shelf.active(at: at(4600)) == imported.keyID)
    }

    @Test("starts signing when it is told to, but not before verifiers have seen it")
    func activateAt() throws {
        let earliest = at(1000 + 360)
        for instant in [earliest, at(.days(400))] {
            let imported = try planner.importing(JWK(key), activateAt: instant, shelf.contents, at: at(1000))
            #expect(imported.record?.activatesAt == instant)
        }
        for instant in [earliest - .instant, at(1000), at(0)] {
            let error = refusal(JWK(key), activateAt: instant)
            #expect(error?.code == .refused)
            #expect(error?.reason.contains("\(earliest)") == true)
        }
    }

    @Test("in an empty store may sign at once, but not in the past")
    func emptyStore() throws {
        let contents = KeyStoreContents(records: [], isNew: true)
        #expect(
            try planner.importing(JWK(key), activateAt: at(1000), contents, at: at(1000)).record?.activatesAt
                == at(1000))
        #expect(throws: KeyServiceError.self) {
            try planner.importing(JWK(key), activateAt: at(999), contents, at: at(1000))
        }
    }

    @Test("never takes over at the instant of another")
    mutating func ties() throws {
        for _ in 0..<3 {
            let key = try PrivateKey.generate(for: .es256)
            shelf.apply([try planner.importing(JWK(key), activateAt: at(9000), shelf.contents, at: at(1000))])
        }
        #expect(
            shelf.records.compactMap(\.activatesAt).sorted().dropFirst()
                == [at(9000), at(9000) + .instant, at(9000) + .instant * 2])
    }

    @Test("that is there already is refused")
    mutating func known() throws {
        shelf.apply([try planner.importing(JWK(key), activateAt: nil, shelf.contents, at: at(1000))])
        #expect(refusal(JWK(key))?.code == .refused)
        #expect(refusal(JWK(key, keyID: KeyID("another")))?.code == .refused)
    }

    @Test("that was revoked is refused for ever, also after pruning")
    mutating func revoked() throws {
        let imported = try planner.importing(JWK(key), activateAt: nil, shelf.contents, at: at(1000))
        shelf.apply([imported])
        try shelf.revoke(#require(imported.record), at: at(1001))
        shelf.apply(planner.pruning(shelf.contents, at: at(.days(4000))))
        let error = refusal(JWK(key), at: at(.days(4000)))
        #expect(error?.reason.contains("revoked") == true)
        #expect(throws: KeyServiceError.self) {
            try planner.importingVerifyOnly(
                JWK(key.publicKey), keyID: KeyID("x"), until: at(.days(5000)), shelf.contents, at: at(.days(4000)))
        }
    }

    @Test("for an algorithm that isn't set is refused")
    func algorithm() throws {
        #expect(refusal(JWK(try .generate(for: .es384)))?.code == .refused)
        #expect(refusal(JWK(try .generate(for: .edDSA)))?.code == .refused)
    }

    @Test("says itself which of the configured algorithms it is for")
    func ownAlgorithm() throws {
        let key = try PrivateKey.generate(for: .rs256)
        let planner = KeyPlanner(schedule: .test { $0.algorithms = [.ps256, .rs256] })
        let ps256 = try planner.importing(
            JWK(key, algorithm: .ps256), activateAt: nil, shelf.contents, at: at(1000))
        #expect(ps256.record?.algorithm == .ps256)
        #expect(throws: KeyServiceError.self) {
            try planner.importing(JWK(key, algorithm: .rs512), activateAt: nil, shelf.contents, at: at(1000))
        }
    }

    @Test("has to have its private half")
    func publicKey() throws {
        #expect(refusal(JWK(key.publicKey))?.reason.contains("--verify-only") == true)
    }

    @Test("whose kid another system's key has is refused")
    mutating func clash() throws {
        let thumbprint = try key.publicKey.thumbprint()
        shelf.apply([
            try planner.importingVerifyOnly(
                JWK(try PrivateKey.generate(for: .es256).publicKey), keyID: thumbprint, until: at(90_000),
                shelf.contents, at: at(1000))
        ])
        #expect(refusal(JWK(key))?.code == .refused)
    }
}

@Suite("A key that only verifies")
struct VerifyOnlyTests {
    private let planner = KeyPlanner(schedule: .test)
    private var shelf = Shelf()
    private let key: PublicKey

    init() throws {
        try shelf.start(at: at(0))
        key = try PrivateKey.generate(for: .es384).publicKey
    }

    private func imported(_ jwk: JWK, keyID: String? = nil, until: Instant = at(9000)) throws -> KeyRecord? {
        try planner.importingVerifyOnly(
            jwk, keyID: keyID.flatMap { KeyID($0) }, until: until, shelf.contents, at: at(1000)
        ).record
    }

    @Test("is published until its end, and never signs")
    mutating func published() throws {
        let record = try #require(try imported(JWK(key)))
        shelf.apply([.add(record, nil)])
        #expect(shelf.ring().published(at: at(8999)).contains { $0.keyID == record.keyID })
        #expect(!shelf.ring().published(at: at(9000)).contains { $0.keyID == record.keyID })
        #expect(shelf.active(.es384, at: at(2000)) == nil)
        #expect(!record.hasPrivateKey)
    }

    @Test("has the kid that it is given, else its own, else the thumbprint")
    func keyID() throws {
        let named = JWK(key, keyID: KeyID("own"))
        #expect(try imported(named, keyID: "given/with spaces")?.keyID.rawValue == "given/with spaces")
        #expect(try imported(named)?.keyID.rawValue == "own")
        #expect(try imported(JWK(key))?.keyID == key.thumbprint())
    }

    @Test("with a kid that is taken is refused")
    func clash() throws {
        #expect(throws: KeyServiceError.self) { try imported(JWK(key), keyID: shelf.records[0].keyID.rawValue) }
    }

    @Test("that is there already is refused, whatever its kid")
    mutating func known() throws {
        shelf.apply([.add(try #require(try imported(JWK(key), keyID: "one")), nil)])
        #expect(throws: KeyServiceError.self) { try imported(JWK(key), keyID: "two") }
        #expect(throws: KeyServiceError.self) { try imported(JWK(shelf.records[0].publicKey), keyID: "three") }
    }

    @Test("whose end is past is refused", arguments: [-1, 999, 1000])
    func past(_ seconds: Int64) {
        #expect(throws: KeyServiceError.self) { try imported(JWK(key), until: at(seconds)) }
    }

    @Test("gives away nothing of a private half")
    func privateHalf() throws {
        let pair = try PrivateKey.generate(for: .es256)
        let change = try planner.importingVerifyOnly(JWK(pair), keyID: nil, until: at(9000), shelf.contents, at: at(1))
        guard case .add(let record, nil) = change else {
            Issue.record("its private half would be stored")
            return
        }
        #expect(!record.hasPrivateKey)
    }
}
