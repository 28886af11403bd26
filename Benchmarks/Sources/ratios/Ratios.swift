internal import JOSE
internal import TokenWork

/// Prints one table: how fast each kind of work is, as a ratio to the C loop that runs by turns with it.
@main
struct Ratios {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case nil: try await printTable(rounds: 150)
        case "--rounds" where arguments.count == 2 && Int(arguments[1]).map { $0 > 0 } ?? false:
            try await printTable(rounds: Int(arguments[1])!)
        case "--only" where (4...5).contains(arguments.count):
            let threads = arguments.count == 5 ? Int(arguments[4]) ?? 1 : 1
            try await repeatOne(arguments[1], arguments[2], Int(arguments[3]) ?? 0, threads: threads)
        default:
            print(
                """
                usage: ratios [--rounds N]
                       ratios --only ES256|RS256 WORK COUNT [THREADS]     does one kind of work, for a profiler

                WORK is one of
                """)
            for work in Work.allCases { print("  \"\(work.rawValue)\"") }
        }
    }

    private static func repeatOne(
        _ algorithm: String, _ name: String, _ count: Int, threads: Int
    ) async throws {
        // What a profiler sees of their making should be little.
        let workshop = try await Workshop(tokenCount: 256)
        guard let contestants = workshop.contestants.first(where: { $0.algorithm.name == algorithm }),
            let work = Work(rawValue: name)
        else { throw WorkFailed("no such algorithm or work") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<threads {
                let worker = try await contestants.worker(work)
                group.addTask { try await worker(count) }
            }
            try await group.waitForAll()
        }
    }

    private static func printTable(rounds: Int) async throws {
        let workshop = try await Workshop()
        var table = Table()
        table.head()
        for contestants in workshop.contestants {
            try await signing(contestants, rounds, &table)
            try await verifying(contestants, rounds, &table)
        }
        try await seenBefore(workshop, rounds, &table)
        for contestants in workshop.contestants { try await twoThreads(contestants, rounds, &table) }
        try await passwords(&table)
        print("\n\(table.missed == 0 ? "every bar is met" : "\(table.missed) missed")")
    }

    private static func signing(_ contestants: Contestants, _ rounds: Int, _ table: inout Table) async throws {
        try await contestants.refresh()
        table.section("\(contestants.algorithm), signing")
        let race = try await Race(contestants, cLoops: Work.cSign)
        let result = try await race.run(
            [.signature, .signedJWS, .token, .cjoseSign, .jwtKitSign], rounds: rounds)
        let isES256 = contestants.algorithm == .es256
        table.base(result.base)
        table.row(result[.signature], .atLeast(0.95))
        table.row(result[.signedJWS])
        table.row(result[.token], .atLeast(isES256 ? 0.85 : 0.98))
        table.row(result[.cjoseSign], .levelWith(result[.signedJWS]))
        table.row(result[.jwtKitSign], .behind(result[.token]))
    }

    private static func verifying(_ contestants: Contestants, _ rounds: Int, _ table: inout Table) async throws {
        table.section("\(contestants.algorithm), verifying")
        let race = try await Race(contestants, cLoops: Work.cVerify)
        let result = try await race.run(
            [.verifiedSignature, .verifiedJWS, .firstSeen, .firstSeenDecoded, .cjoseVerify, .jwtKitVerify],
            rounds: rounds)
        let isES256 = contestants.algorithm == .es256
        table.base(result.base)
        table.row(result[.verifiedSignature])
        table.row(result[.verifiedJWS])
        table.row(result[.firstSeen], .atLeast(isES256 ? 0.92 : 0.75))
        table.row(result[.firstSeenDecoded])
        table.row(result[.cjoseVerify], .levelWith(result[.verifiedJWS]))
        table.row(result[.jwtKitVerify], .behind(result[.firstSeenDecoded]))
    }

    /// The bar is the ES256 loop for either algorithm: what isn't computed again is the same.
    private static func seenBefore(_ workshop: Workshop, _ rounds: Int, _ table: inout Table) async throws {
        table.section("seen before, to the C loop that verifies ES256")
        let race = try await Race(workshop.es256, cLoops: Work.cVerify)
        let result = try await race.run(
            [
                ("\(Work.seenBefore.rawValue), ES256", try await workshop.es256.worker(.seenBefore)),
                ("\(Work.seenBefore.rawValue), RS256", try await workshop.rs256.worker(.seenBefore)),
            ], rounds: rounds)
        table.base(result.base)
        for row in result.rows { table.row(row, .atLeast(20)) }
    }

    private static func twoThreads(_ contestants: Contestants, _ rounds: Int, _ table: inout Table) async throws {
        try await contestants.refresh()
        table.section("\(contestants.algorithm), two threads, to two of the C loop")
        let race = try await Race(contestants, cLoops: Work.cSign, threads: 2)
        let result = try await race.run([.signature, .token], rounds: rounds)
        table.base(result.base)
        table.row(result[.signature], .atLeast(0.93))
        table.row(result[.token], .atLeast(0.93))
        try await verifyingOnTwoThreads(contestants, rounds, &table)
    }

    private static func verifyingOnTwoThreads(
        _ contestants: Contestants, _ rounds: Int, _ table: inout Table
    ) async throws {
        let race = try await Race(contestants, cLoops: Work.cVerify, threads: 2)
        let result = try await race.run([.firstSeen], rounds: rounds)
        table.base(result.base)
        table.row(result[.firstSeen])
    }

    private static func passwords(_ table: inout Table) async throws {
        table.section("Argon2id, 19 MiB, 2 iterations")
        let race = Race(base: [("C: argon2id_hash_encoded", Workshop.argon2id.c)], threads: 1)
        let result = try await race.run([("the service's password hash", Workshop.argon2id.service)], rounds: 12)
        table.base(result.base)
        for row in result.rows { table.row(row) }
    }
}
