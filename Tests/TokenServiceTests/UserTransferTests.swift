import HTTPTypes
import JOSE
import Storage
import Synchronization
import Testing

@testable import TokenService

extension TestService {
    /// What `users import` does with a file.
    @discardableResult
    func importUsers(
        _ text: String, from file: String = "users.csv",
        progress: @escaping @Sendable (ImportProgress) -> Void = { _ in }
    ) async throws -> Int {
        var rest = Array(text.utf8)[...]
        return try await accounts.importUsers(
            from: file,
            read: {
                defer { rest = rest.dropFirst(4096) }
                return Array(rest.prefix(4096))
            }, progress: progress)
    }

    /// What `users export` writes.
    func exportUsers(as format: UserFileFormat) async throws -> String {
        var bytes: [UInt8] = []
        try await accounts.exportUsers(as: format) { bytes += $0 }
        return String(decoding: bytes, as: UTF8.self)
    }
}

@Suite("Users who come from another system and leave again")
struct UserTransferTests {
    private static let hash = UserFileTests.hash

    @Test("log in with the passwords they had, and get today's hash for it", arguments: PasswordHashTests.made)
    func logIn(hash: String) async throws {
        let service = try await TestService()
        let count = try await service.importUsers(
            "username,password_hash,claims,scope\nAlice,\"\(hash)\",\"{\"\"plan\"\":\"\"gold\"\"}\",read write\n")
        #expect(count == 1)
        #expect(try await service.accounts.users.find("alice").passwordHash == hash)
        let refused = try await service.post("/auth/log-in", ["username": "alice", "password": "incorrect horse"])
        #expect(refused.status == .unauthorized)
        let token = try JWTClaims(json: JWS(compact: try await service.logIn().access).payload)
        #expect(token.members["plan"] == "gold")
        #expect(token.members["scope"] == "read write")
        let stored = try await service.accounts.users.find("alice").passwordHash
        // DES sees a part of this password only, so that it stays.
        let isSeen = try PasswordHash(hash).sees(all: "correct horse")
        #expect(try PasswordHash(stored).isMade(at: service.settings.passwordCost) == isSeen)
        _ = try await service.logIn().access
        #expect(try await service.accounts.users.find("alice").passwordHash == stored)
    }

    @Test("are taken one by one, too")
    func single() async throws {
        let service = try await TestService()
        _ = try await service.accounts.add(name: "alice", credential: .hash(Self.hash), claims: [:], scopes: [])
        #expect(try await service.exportUsers(as: .csv).hasSuffix("\nalice,\(Self.hash),{},,false\n"))
        let error = await #expect(throws: ServiceError.self) {
            try await service.accounts.add(
                name: "bob", credential: .hash(PasswordHashTests.costly[0]), claims: [:], scopes: [])
        }
        #expect(error?.status == .usage)
    }

    @Test("don't log in while they are disabled")
    func disabled() async throws {
        let service = try await TestService()
        try await service.importUsers(
            "username,password_hash,disabled\nalice,\(Self.hash),true\nbob,\(Self.hash),false\n")
        for (name, status) in [("alice", 401), ("bob", 200)] {
            let answer = try await service.post(
                "/auth/log-in", ["username": .string(name), "password": "correct horse"])
            #expect(answer.status.code == status)
        }
    }

    @Test("come out as they went in, in the order of their names", arguments: UserFileFormat.allCases)
    func roundTrip(format: UserFileFormat) async throws {
        let (first, second) = (try await TestService(), try await TestService())
        var file = ""
        // With the object of the claims, as deep as JSON is read.
        let deep = (2..<JSONValue.maximumDepth).reduce(JSONValue.array([])) { value, _ in [value] }
        for (number, hash) in PasswordHashTests.made.enumerated() {
            let user: JSONObject = [
                "username": .string("user\(number),é\"'"), "password_hash": .string(hash),
                "claims": [
                    "n": .integer(Int64(number)), "text": "\"a\",\r\n\u{0}é🐎", "list": [.number(1.5), nil, true],
                    "deep": deep,
                ],
                "scope": number % 2 == 0 ? "" : "read write", "disabled": .bool(number % 3 == 0),
            ]
            file += user.jsonText + "\n"
        }
        try await first.importUsers(file)
        let exported = try await first.exportUsers(as: format)
        #expect(try await second.importUsers(exported) == PasswordHashTests.made.count)
        for format in UserFileFormat.allCases {
            #expect(try await first.exportUsers(as: format) == second.exportUsers(as: format))
        }
        let lines = file.split(separator: "\n").sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(try await second.exportUsers(as: .ndjson) == lines.joined(separator: "\n") + "\n")
        #expect(try await first.accounts.users.users().map(\.id) != second.accounts.users.users().map(\.id))
    }

    @Test("come out whole however many they are")
    func pages() async throws {
        let service = try await TestService()
        let rows = (0..<2345).map { "user\(10_000 + $0),\(Self.hash)" }
        let shown = Mutex<[String]>([])
        let count = try await service.importUsers(
            "username,password_hash\n" + rows.shuffled().joined(separator: "\n"),
            progress: { progress in shown.withLock { $0.append("\(progress)") } })
        #expect(count == 2345)
        #expect(
            shown.withLock { $0.contains { $0.hasPrefix("checking") } && $0.last == "storing(users: 2345, of: 2345)" })
        let exported = try await service.exportUsers(as: .csv)
        #expect(exported.split(separator: "\n").dropFirst().map { String($0.dropLast(",{},,false".count)) } == rows)
    }

    @Test(
        "aren't imported at all where one line is wrong",
        arguments: [
            ("username,password_hash\nbob,HASH\nalice,HASH\ncarol,x\n", "users.csv, line 4: the password_hash is "),
            (
                "username,password_hash\nbob,HASH\nalice,HASH\nBOB,HASH\n",
                "users.csv, line 4: the name bob is there twice (lines 2 and 4); leave one; nothing was imported"
            ),
            (
                "username,password_hash\nbob,HASH\ncarol,HASH\ndave,HASH\nerin,HASH\n",
                "users.csv, line 4: there is a user dave already; "
            ),
            ("", "users.csv: there is nothing in it; nothing was imported"),
        ])
    func allOrNothing(text: String, words: String) async throws {
        let service = try await TestService()
        for name in ["dave", "erin"] { try await service.addUser(name) }
        let (before, audit) = (try await service.exportUsers(as: .ndjson), try await service.audit().count)
        let error = await #expect(throws: ServiceError.self) {
            try await service.importUsers(text.replacing("HASH", with: Self.hash))
        }
        #expect(error?.status == .failed)
        #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasSuffix("; nothing was imported") == true)
        #expect(try await service.audit().count == audit)
        #expect(try await service.exportUsers(as: .ndjson) == before)
    }

    @Test("aren't imported at all where a name is taken far behind the first batch")
    func lateConflict() async throws {
        let service = try await TestService()
        try await service.addUser("user777")
        let rows = (0..<1000).map { "user\($0),\(Self.hash)\n" }
        let error = await #expect(throws: ServiceError.self) {
            try await service.importUsers("username,password_hash\n" + rows.joined())
        }
        #expect(error?.description.contains("line 779: there is a user user777 already") == true)
        #expect(try await service.accounts.users.users().map(\.name) == ["user777"])
    }

    @Test("are in the audit log: who took them in, and who took them away")
    func audit() async throws {
        let service = try await TestService()
        try await service.importUsers("username,password_hash\nalice,\(Self.hash)\nbob,\(Self.hash)\n")
        service.clock.advance(.seconds(1))
        _ = try await service.exportUsers(as: .csv)
        let records = try await service.audit().filter { $0["event"] != "key_made" }
        #expect(records.map { $0["event"] } == ["users_imported", "users_exported"])
        #expect(records.allSatisfy { $0["actor"] == "operator:test" && $0["subject"] == .null })
    }

    @Test("that can't be written are recorded as exported all the same")
    func brokenExport() async throws {
        struct Broken: Error {}
        let service = try await TestService()
        try await service.addUser()
        await #expect(throws: Broken.self) {
            try await service.accounts.exportUsers(as: .csv) { _ in throw Broken() }
        }
        #expect(try await service.audit().contains { $0["event"] == "users_exported" })
    }
}
