import HTTPTypes
import JOSE
import Testing

@testable import TokenService

@Suite("What is worked on for a name that nobody has")
struct DecoyTests {
    private func hash(_ number: Int) -> String {
        "$1$salt\(number)$NuzA7WTAelpl95xgBGWN60"
    }

    /// The decoy of a name.
    private func decoy(of name: String, in service: TestService) async throws -> String? {
        let pivot = try Decoys(secret: service.secret).pivot(for: name)
        return try await service.accounts.users.user(named: name, orDecoyFrom: pivot).decoy
    }

    @Test("is the hash of an existing user, the same for the same name, and spread over all of them")
    func spread() async throws {
        let service = try await TestService()
        let hashes = Set((0..<8).map(hash))
        for (number, hash) in hashes.enumerated() {
            _ = try await service.accounts.add(name: "user\(number)", credential: .hash(hash), claims: [:], scopes: [])
        }
        var seen: Set<String> = []
        for number in 0..<400 {
            let first = try #require(try await decoy(of: "nobody\(number)", in: service))
            #expect(try await decoy(of: "nobody\(number)", in: service) == first)
            seen.insert(first)
        }
        #expect(seen.isSubset(of: hashes))
        // The ids are random: one user may have a small share, but hardly half of them.
        #expect(seen.count > 3)
    }

    @Test("is that of the first user behind the last id, and none where there is nobody")
    func ends() async throws {
        let service = try await TestService()
        let users = service.accounts.users
        #expect(try await users.user(named: "nobody", orDecoyFrom: "A").decoy == nil)
        for number in 0..<3 {
            _ = try await service.accounts.add(
                name: "user\(number)", credential: .hash(hash(number)), claims: [:], scopes: [])
        }
        let sorted = try await users.users().sorted { $0.id < $1.id }
        #expect(try await users.user(named: nil, orDecoyFrom: "zzzzzz").decoy == sorted[0].passwordHash)
        #expect(try await users.user(named: nil, orDecoyFrom: "").decoy == sorted[0].passwordHash)
        #expect(try await users.user(named: "nobody", orDecoyFrom: sorted[1].id).decoy == sorted[1].passwordHash)
        let found = try await users.user(named: "user1", orDecoyFrom: sorted[2].id)
        #expect(found.user?.name == "user1")
        #expect(found.decoy == sorted[2].passwordHash)
    }

    @Test("depends on the master secret")
    func secret() async throws {
        let (one, other) = (try await TestService(), try await TestService())
        let pivots = try [one, other].map { try Decoys(secret: $0.secret).pivot(for: "nobody") }
        #expect(pivots[0] != pivots[1])
        #expect(pivots.allSatisfy { $0.count == 22 })
    }

    @Test("lets nobody in, not even with the password that it is the hash of", arguments: ["nobody", "no body", ""])
    func refused(name: String) async throws {
        let service = try await TestService()
        _ = try await service.accounts.add(
            name: "alice", credential: .hash(PasswordHashTests.made[0]), claims: [:], scopes: [])
        let answer = try await service.post(
            "/auth/log-in", ["username": .string(name), "password": "correct horse"])
        #expect(answer.status == .unauthorized)
        #expect(answer.error == "invalid_grant")
    }

    @Test("is asked for in the same read as the user")
    func reads() async throws {
        let service = try await TestService()
        try await service.addUser()
        var counts: [Int] = []
        for name in ["alice", "nobody"] {
            let before = service.database.count
            _ = try await service.post("/auth/log-in", ["username": .string(name), "password": "wrong"])
            counts.append(service.database.count - before)
        }
        #expect(counts[0] == counts[1])
    }

    @Test("takes as long as a user's hash does where all are of a kind that takes another time than today's")
    func time() async throws {
        let service = try await TestService()
        // Some fifty times what today's cost takes here. How long that is on this machine is measured, not assumed.
        let slow = "$5$rounds=300000$saltsalt$" + String(repeating: ".", count: 43)
        let stored = try PasswordHash(slow)
        let work = try (0..<3).map { _ in try ContinuousClock().measure { _ = try stored.matches("wrong") } }
        _ = try await service.accounts.add(name: "alice", credential: .hash(slow), claims: [:], scopes: [])
        for name in ["alice", "nobody"] {
            let time = try await ContinuousClock().measure {
                _ = try await service.post("/auth/log-in", ["username": .string(name), "password": "wrong"])
            }
            #expect(try time > #require(work.min()) / 4)
        }
    }
}
