import Foundation
import HTTPTypes
import JOSE
import KeyService
import Storage
import TestSupport
import Testing
import TokenVerifier

@testable import TokenService

@Suite("The published status list")
struct PublishedStatusListTests {
    /// The `status` claim of a token.
    private static func reference(_ token: String) throws -> (path: String, index: Int64) {
        let claims = try JWTClaims(json: JWS(compact: token).payload).members
        let reference = try #require(claims["status"]?.object?["status_list"]?.object)
        let uri = try #require(reference["uri"]?.string)
        #expect(uri.hasPrefix(TestService.url + "/status-lists/"))
        return (String(uri.dropFirst(TestService.url.count)), try #require(reference["idx"]?.integer))
    }

    @Test("is a signed token of the draft's form, which the JWKS verifies")
    func form() async throws {
        let service = try await TestService()
        try await service.addUser()
        let (path, _) = try Self.reference(await service.logIn().access)
        let answer = try await service.get(path)
        #expect(answer.headers[.contentType] == "application/statuslist+jwt")
        #expect(answer.headers[.cacheControl] == "public, max-age=10")
        #expect(answer.headers[.accessControlAllowOrigin] == "*")
        let jws = try JWS(compact: answer.body, maximumSize: 64 * 1024)
        #expect(jws.header.type == "statuslist+jwt")
        try jws.verify(with: JWKSet(json: await service.get("/.well-known/jwks.json").body))
        let claims = try JSONObject(json: jws.payload)
        let now = service.clock.now.seconds
        #expect(claims["sub"] == .string(TestService.url + path))
        #expect(claims["iat"] == .integer(now))
        #expect(claims["exp"] == .integer(now + 600))
        #expect(claims["ttl"] == 10)
        let list = try StatusList(try #require(claims["status_list"]?.object))
        #expect(list.count == 131_072)
        #expect((0..<list.count).allSatisfy { list[$0] == 0 })
    }

    @Test("gives each session an index of its own, in no order")
    func indexes() async throws {
        let service = try await TestService()
        try await service.addUser()
        var indexes: [Int64] = []
        for _ in 0..<20 { indexes.append(try Self.reference(await service.logIn().access).index) }
        #expect(Set(indexes).count == 20)
        #expect(indexes != indexes.sorted() && indexes != indexes.sorted(by: >))
    }

    @Test("names the same index after a refresh")
    func refresh() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let next = try await service.refresh(pair.refresh).text("access_token")
        #expect(try Self.reference(next) == Self.reference(pair.access))
    }

    /// Each way of ending alice's session, and whether this server did it.
    enum Way: String, CaseIterable {
        case logOut, logOutEverywhere, deleteSession, password, reuse
        case revoke, revokeUser, revokeAll, disable, remove, setPassword

        var isByCommand: Bool { [.revoke, .revokeUser, .revokeAll, .disable, .remove, .setPassword].contains(self) }
    }

    private static func end(_ way: Way, _ service: TestService, _ user: User, _ pair: TestService.Pair) async throws {
        let now = service.clock.now
        let store = SessionStore(database: service.database, settings: service.settings)
        let record = AuditRecord(.sessionsRevoked, by: .operatorNamed("test"), at: now)
        switch way {
        case .logOut: _ = try await service.post("/auth/log-out", [:], bearer: pair.access)
        case .logOutEverywhere: _ = try await service.post("/auth/log-out-everywhere", [:], bearer: pair.access)
        case .deleteSession:
            let other = try await service.logIn().access
            let sid = try #require(try JWTClaims(json: JWS(compact: pair.access).payload).members["sid"]?.string)
            let answer = try await service.send(
                .delete, "/auth/sessions/\(sid)", headers: [.authorization: "Bearer \(other)"])
            #expect(answer.status == .noContent)
        case .password:
            let other = try await service.logIn().access
            _ = try await service.post(
                "/auth/password", ["current": "correct horse", "new": "battery staple"], bearer: other)
        case .reuse:
            _ = try await service.next(service.next(pair.refresh))
            _ = try await service.refresh(pair.refresh)
        case .revoke:
            let sid = try #require(try JWTClaims(json: JWS(compact: pair.access).payload).members["sid"]?.string)
            #expect(try await store.revoke(sessionID: sid, audit: record, at: now) == 1)
        case .revokeUser: #expect(try await store.revoke(userID: user.id, audit: record, at: now) == 1)
        case .revokeAll: #expect(try await store.endAll(audit: record, at: now) == 2)
        case .disable: try await service.accounts.setDisabled(user, true)
        case .remove: try await service.accounts.remove(user)
        case .setPassword: try await service.accounts.setPassword(of: user, .password("battery staple"))
        }
    }

    @Test(
        "has the bit of a session set by each way of ending it, and /auth/me refuses its token", arguments: Way.allCases
    )
    func ending(_ way: Way) async throws {
        let service = try await TestService()
        let alice = try await service.addUser()
        try await service.addUser("bob")
        let (pair, bob) = (try await service.logIn(), try await service.logIn("bob"))
        #expect(try await !service.isEnded(pair.access))
        try await Self.end(way, service, alice, pair)
        // A verifier that asks within the ttl must see it, once the server has looked.
        if way.isByCommand { service.clock.advance(.seconds(1)) }
        let me = try await service.get("/auth/me", bearer: pair.access)
        #expect(me.status == .unauthorized)
        #expect(me.error == "invalid_token")
        service.clock.advance(.milliseconds(500))
        #expect(try await service.isEnded(pair.access))
        #expect(try await service.isEnded(bob.access) == (way == .revokeAll))
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
    }

    @Test("keeps a bit until the last access token that names it has expired, and clears it after that")
    func clearing() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.post("/auth/log-out", [:], bearer: pair.access)
        // The lifetime, the grace in which the answer might have been repeated, and twice the leeway.
        service.clock.advance(.seconds(600 + 30 + 60) - .microseconds(1))
        try await service.server.sweep()
        #expect(try await service.isEnded(pair.access))
        service.clock.advance(.seconds(61))
        try await service.server.sweep()
        #expect(try await !service.isEnded(pair.access))
        let left = try await service.database.read { try $0.query("SELECT list_index FROM status_bits").count }
        #expect(left == 0)
    }

    @Test("is built once for a ttl, and anew once it changed")
    func builds() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let (path, _) = try Self.reference(pair.access)
        let first = try await service.get(path)
        service.clock.advance(.seconds(9))
        let second = try await service.get(path)
        #expect(second.body == first.body)
        #expect(second.headers[.cacheControl] == "public, max-age=1")
        let tag = try #require(first.headers[.eTag])
        #expect(try await service.get(path, headers: [.ifNoneMatch: tag]).status == .notModified)
        service.clock.advance(.seconds(1))
        #expect(try await service.get(path).headers[.eTag] != tag)
        _ = try await service.post("/auth/log-out", [:], bearer: pair.access)
        let third = try await service.get(path)
        service.clock.advance(.milliseconds(500))
        #expect(try await service.get(path).body != third.body)
    }

    @Test("asks the database nothing, and signs nothing, for a request within the ttl")
    func noQueries() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let (path, _) = try Self.reference(pair.access)
        let tag = try await service.get(path).headers[.eTag]
        let count = service.database.count
        for _ in 0..<20 {
            // ECDSA signatures are random: another one would be another body.
            #expect(try await service.get(path).headers[.eTag] == tag)
            #expect(try await service.get("/auth/me", bearer: pair.access).status == .ok)
        }
        #expect(service.database.count == count)
    }

    @Test("that doesn't exist is 404, and made-up ones cost few queries")
    func unknown() async throws {
        let service = try await TestService()
        let count = service.database.count
        for id in ["x", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", String(repeating: "A", count: 2000)] {
            #expect(try await service.get("/status-lists/" + id).status == .notFound)
        }
        // Each waits for its look, of which there is one in a tenth of a second.
        let began = ContinuousClock.now
        for _ in 0..<5 {
            let id = Base64URL.encode(try randomBytes(16))
            #expect(try await service.get("/status-lists/" + id).status == .notFound)
        }
        #expect(ContinuousClock.now - began > .milliseconds(450))
        #expect(service.database.count <= count + 7)
    }

    @Test("is served while the database is away until it has expired, and /auth/me trusts it as long")
    func stale() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let (path, _) = try Self.reference(pair.access)
        let first = try await service.get(path)
        try service.database.close()
        func request(after duration: Duration) async throws -> HTTPResponse.Status {
            service.clock.advance(duration)
            let answer = try await service.get(path)
            if answer.status == .ok { #expect(answer.body == first.body) }
            return answer.status
        }
        #expect(try await request(after: .seconds(599)) == .ok)
        #expect(try await service.get("/auth/me", bearer: pair.access).status == .ok)
        #expect(try await request(after: .seconds(1)) == .serviceUnavailable)
        #expect(try await service.get("/auth/me", bearer: pair.access).status == .serviceUnavailable)
    }

    @Test("is signed anew when its key was revoked")
    func revokedKey() async throws {
        let service = try await TestService()
        try await service.addUser()
        let pair = try await service.logIn()
        let (path, _) = try Self.reference(pair.access)
        let first = try JWS(compact: try await service.get(path).body, maximumSize: 64 * 1024)
        try await service.revokeSigningKey()
        service.clock.advance(.seconds(1))
        let second = try JWS(compact: try await service.get(path).body, maximumSize: 64 * 1024)
        #expect(second.header.keyID != first.header.keyID)
        try second.verify(with: JWKSet(json: await service.get("/.well-known/jwks.json").body))
    }

    @Test("has every bit of a change by which thousands are set, whichever they are, and of what follows")
    func many() async throws {
        let service = try await TestService()
        let store = StatusListStore(database: service.database, address: service.settings.database)
        let now = service.clock.now
        let lists = [
            try await store.lease(startingList: false, at: now)[0].list,
            try await store.lease(startingList: true, at: now)[0].list,
        ]
        let all = lists.flatMap { list in (0..<4000).map { StatusReference(list: list, index: $0) } }
        func set(_ references: [StatusReference]) async throws {
            try await service.database.write { connection in
                let change = try StatusListStore.nextChange(in: connection)
                for reference in references {
                    try StatusListStore.set(
                        StatusBit(reference: reference, tokensUntil: now + .seconds(600)), change: change,
                        in: connection)
                }
            }
        }
        try await set(all)
        let first = try await store.contents(after: 0, timeline: nil)
        #expect(first.bits.count == all.count)
        #expect(Set(first.bits.map(\.reference)) == Set(all))
        let later = Array(all[1000..<6500])
        try await set(later)
        let second = try await store.contents(after: first.change, timeline: first.timeline)
        #expect(second.bits.count == later.count)
        #expect(Set(second.bits.map(\.reference)) == Set(later))
    }

    @Test("end once more what the database lost in a fail-over and a node remembers")
    func remembered() async throws {
        let service = try await TestService()
        try await service.addUser()
        let client = try await service.addClient()
        let pair = try await service.logIn()
        let machine = try await service.token(of: client)
        let store = StatusListStore(database: service.database, address: service.settings.database)
        let bits = try [pair.access, machine].map { token in
            let reference = try #require(
                try TestService.claims(token)["status"]?.object?["status_list"]?.object)
            let uri = try #require(reference["uri"]?.string)
            return StatusBit(
                reference: StatusReference(
                    list: String(uri.split(separator: "/").last!), index: Int(try #require(reference["idx"]?.integer))),
                tokensUntil: service.clock.now + .seconds(700))
        }
        try await store.restore([:], bits, at: service.clock.now)
        // As they look every second.
        service.clock.advance(.seconds(1))
        for token in [pair.access, machine] {
            #expect(try await service.get("/auth/me", bearer: token).status == .unauthorized)
        }
        #expect(try await service.refresh(pair.refresh).status == .unauthorized)
        let next = try await service.token(of: client)
        #expect(try await service.get("/auth/me", bearer: next).status == .ok)
        let records = try await service.database.read {
            try $0.query("SELECT session FROM audit WHERE event = 'session_ended'").map {
                try $0.optionalText("session")
            }
        }
        #expect(records == [try TestService.claims(pair.access)["sid"]?.string])
    }
}

@Suite("Places in status lists")
struct StatusIndexTests {
    @Test("are each handed out once, over all blocks of a list, by several nodes")
    func once() async throws {
        let service = try await TestService()
        let store = StatusListStore(database: service.database, address: service.settings.database)
        let now = service.clock.now
        let block = StatusListStore.blockSize
        let places = try await withThrowingTaskGroup(of: [StatusReference].self) { group in
            for _ in 0..<8 { group.addTask { try await store.lease(startingList: false, at: now) } }
            return try await group.reduce(into: [StatusReference]()) { $0 += $1 }
        }
        #expect(Set(places.map(\.list)).count == 1)
        #expect(Set(places.map(\.index)).count == 8 * block)
        #expect(places.map(\.index).allSatisfy { (0..<StatusListStore.size).contains($0) })
        #expect(places.prefix(block).map(\.index) != places.prefix(block).map(\.index).sorted())
    }

    @Test("are of the next list when the last one is full")
    func full() async throws {
        let service = try await TestService()
        let store = StatusListStore(database: service.database, address: service.settings.database)
        let now = service.clock.now
        let list = try await store.lease(startingList: false, at: now)[0].list
        // All but the last block is taken.
        let last = StatusListStore.size - StatusListStore.blockSize
        let used = (0..<StatusListStore.size / 8).map { $0 < last / 8 ? UInt8(0xFF) : 0 }
        _ = try await service.database.write { connection in
            try connection.execute(
                "UPDATE status_lists SET leased = $1, used = $2", [.integer(Int64(last)), .bytes(used)])
        }
        let rest = try await store.lease(startingList: false, at: now)
        #expect(rest.allSatisfy { $0.list == list })
        #expect(Set(rest.map(\.index)) == Set(last..<StatusListStore.size))
        #expect(try await store.lease(startingList: false, at: now)[0].list != list)
    }

    @Test("are of a new list after the database was seen to have gone back in time")
    func restored() async throws {
        let service = try await TestService()
        let indexes = StatusIndexes(
            store: StatusListStore(database: service.database, address: service.settings.database),
            now: { [clock = service.clock] in clock.now },
            didLease: { _ in })
        let first = try await indexes.next()
        #expect(try await indexes.next().list == first.list)
        await indexes.startNewList()
        let second = try await indexes.next()
        #expect(second.list != first.list)
        #expect(try await indexes.next().list == second.list)
    }

    @Test(
        "are of a new list after the database file was restored from a copy, and of the same after a restart",
        .enabled(if: TestDatabase.postgreSQL == nil))
    func copy() async throws {
        let service = try await TestService()
        func lease() async throws -> String {
            service.clock.advance(.seconds(1))
            // As a process that was just started.
            let store = StatusListStore(database: service.database, address: service.settings.database)
            return try await store.lease(startingList: false, at: service.clock.now)[0].list
        }
        let first = try await lease()
        #expect(try await lease() == first)
        let rows = try await service.database.read { connection in
            let row = try connection.query("SELECT leased, leased_at FROM status_lists")[0]
            return [SQLValue.integer(try row.integer("leased")), .integer(try row.integer("leased_at"))]
        }
        #expect(try await lease() == first)
        _ = try await service.database.write { connection in
            try connection.execute("UPDATE status_lists SET leased = $1, leased_at = $2", rows)
        }
        let second = try await lease()
        #expect(second != first)
        #expect(try await lease() == second)
    }

    @Test("of a new list are asked for once, however many refreshes show that the database went back in time")
    func restoredOften() async throws {
        let service = try await TestService()
        let store = StatusListStore(database: service.database, address: service.settings.database)
        let indexes = StatusIndexes(store: store, now: { [clock = service.clock] in clock.now }, didLease: { _ in })
        var lists: Set<String> = []
        for _ in 0..<10 {
            await indexes.startNewList()
            lists.insert(try await indexes.next().list)
        }
        #expect(lists.count == 1)
    }

    @Test("are numbered anew for sessions from before there were any")
    func migration() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "token-service-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = try SQLiteDatabase(path: folder.appending(path: "db.sqlite").path)
        try await database.migrate(Array(Schema.migrations.prefix(1)))
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO users (id, name, password_hash, credential_version, claims, scopes, created_at)
                VALUES ('u', 'alice', '', 1, '{}', '', 0)
                """)
            for number in 0..<1000 {
                try connection.execute(
                    """
                    INSERT INTO sessions
                        (id, user_id, generation, seed_hash, scopes, created_at, advanced_at, expires_at)
                    VALUES ($1, 'u', 1, $2, '', 0, 0, 1)
                    """, [.text("session \(number)"), .bytes([1])])
            }
        }
        try await database.migrate(Schema.migrations)
        let (indexes, size) = try await database.read { connection in
            let rows = try connection.query("SELECT status_index FROM sessions")
            return (
                Set(try rows.map { try $0.integer("status_index") }),
                try connection.query("SELECT size FROM status_lists")[0].integer("size")
            )
        }
        #expect(indexes == Set(0..<1000))
        #expect(size >= 1000)
        try database.close()
    }

    @Test("are leased as they are needed, whoever asks at once")
    func leases() async throws {
        let service = try await TestService()
        let indexes = StatusIndexes(
            store: StatusListStore(database: service.database, address: service.settings.database),
            now: { [clock = service.clock] in clock.now },
            didLease: { _ in })
        let count = StatusListStore.blockSize * 2 + 10
        let places = try await withThrowingTaskGroup(of: StatusReference.self) { group in
            for _ in 0..<count { group.addTask { try await indexes.next() } }
            return try await group.reduce(into: Set<StatusReference>()) { $0.insert($1) }
        }
        #expect(places.count == count)
    }

    @Test("of a list go when no session has one any more")
    func removal() async throws {
        let service = try await TestService()
        try await service.addUser()
        _ = try await service.logIn()
        let store = StatusListStore(database: service.database, address: service.settings.database)
        func lists() async throws -> Int {
            try await service.database.read { try $0.query("SELECT id FROM status_lists").count }
        }
        _ = try await store.lease(startingList: true, at: service.clock.now)
        #expect(try await lists() == 2)
        service.clock.advance(.seconds(29 * 86_400))
        try await service.server.sweep()
        #expect(try await lists() == 2)
        service.clock.advance(.seconds(86_400))
        // The sessions first, and the next time their list.
        for _ in 0..<2 { try await service.server.sweep() }
        #expect(try await lists() == 1)
    }
}
