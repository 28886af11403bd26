internal import Foundation
internal import JOSE
internal import TokenWork

/// Runs the C loop and others by turns of milliseconds: what else the machine does falls on both alike. A ratio is
/// that of a turn to the turns of the C loop before and after it.
///
/// On one thread the processor's time counts, of the whole process: what the machine gave to others meanwhile doesn't. Two
/// threads have to be timed by the clock on the wall.
struct Race {
    typealias Named = (name: String, worker: Worker)

    private let base: [Named]
    private let contestants: Contestants?
    private let threads: Int

    /// - Parameter base: the ways of the C loop; the fastest counts.
    init(base: [Named], threads: Int) {
        self.base = base
        contestants = nil
        self.threads = threads
    }

    init(_ contestants: Contestants, cLoops: [Work], threads: Int = 1) async throws {
        self.contestants = contestants
        self.threads = threads
        base = try await Self.named(cLoops, contestants, threads)
    }

    /// One worker for each thread, each with a context of its own where it is the C loop's.
    private static func named(_ works: [Work], _ contestants: Contestants, _ threads: Int) async throws -> [Named] {
        var named: [Named] = []
        for work in works {
            var workers: [Worker] = []
            for _ in 0..<threads { workers.append(try await contestants.worker(work)) }
            named.append((work.rawValue, together(workers)))
        }
        return named
    }

    /// Does the work on as many threads as there are workers.
    private static func together(_ workers: [Worker]) -> Worker {
        guard workers.count > 1 else { return workers[0] }
        return { count in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in workers { group.addTask { try await worker(count) } }
                try await group.waitForAll()
            }
        }
    }

    /// What came of it for one of them.
    struct Row {
        let name: String
        /// Its rate to the C loop's, a number for each round, sorted.
        let ratios: [Double]
        let operationsPerSecond: Double

        var median: Double { quantile(0.5) }

        func quantile(_ part: Double) -> Double { ratios[Int(Double(ratios.count - 1) * part)] }
    }

    struct Result {
        let base: Row
        let rows: [Row]

        subscript(work: Work) -> Row { rows.first { $0.name == work.rawValue }! }
    }

    func run(_ works: [Work], rounds: Int) async throws -> Result {
        guard let contestants else { throw WorkFailed("no contestants") }
        return try await run(Self.named(works, contestants, threads), rounds: rounds)
    }

    func run(_ named: [Named], rounds: Int) async throws -> Result {
        let base = try await Runner(fastest(rounds: rounds), clock)
        var runners: [Runner] = []
        for named in named { runners.append(try await Runner(named, clock)) }
        var baseTimes: [Double] = []
        var times = runners.map { _ in [Double]() }
        var ratios = runners.map { _ in [Double]() }
        // Turns are longer on two threads, rounds fewer.
        for round in 0..<(threads == 1 ? rounds : max(rounds / 3, 5)) {
            var before = try await base.time()
            // Another order each time: none is always behind the same neighbour.
            for place in runners.indices {
                let index = (place + round) % runners.count
                let time = try await runners[index].time()
                let after = try await base.time()
                times[index].append(time)
                ratios[index].append((before + after) / 2 / time)
                baseTimes.append(after)
                before = after
            }
        }
        let rate = { (times: [Double]) in Double(threads) / times.sorted()[times.count / 2] }
        return Result(
            base: Row(name: base.name, ratios: [1], operationsPerSecond: rate(baseTimes)),
            rows: zip(runners, zip(times, ratios)).map { runner, measured in
                Row(name: runner.name, ratios: measured.1.sorted(), operationsPerSecond: rate(measured.0))
            })
    }

    /// The faster way of the C loop, by the processor's time.
    private func fastest(rounds: Int) async throws -> Named {
        guard base.count > 1 else { return base[0] }
        var runners: [Runner] = []
        for named in base { runners.append(try await Runner(named, CLOCK_PROCESS_CPUTIME_ID)) }
        var times = runners.map { _ in [Double]() }
        for _ in 0..<max(rounds / 3, 5) {
            for index in runners.indices { times[index].append(try await runners[index].time()) }
        }
        let medians = times.map { $0.sorted()[$0.count / 2] }
        return base[medians.indices.min { medians[$0] < medians[$1] }!]
    }

    private var clock: clockid_t { threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC }

    /// A worker, and how much of its work fills a turn.
    private struct Runner {
        let name: String
        private let worker: Worker
        private let clock: clockid_t
        private var count = 1

        /// How long its work is, in seconds; threads have to be started for it, which mustn't count for much.
        private var length: Double { clock == CLOCK_PROCESS_CPUTIME_ID ? 0.006 : 0.04 }

        init(_ named: Named, _ clock: clockid_t) async throws {
            (name, worker, self.clock) = (named.name, named.worker, clock)
            // The first time it fetches, allocates and fills caches.
            try await worker(2)
            while true {
                // Of three, so that one that was interrupted doesn't count.
                let turns = [try await turn(), try await turn(), try await turn()]
                let took = turns.min()!
                if took >= length / 2 {
                    count = max(1, Int(Double(count) * length / took))
                    return
                }
                count *= 2
            }
        }

        /// Seconds for one piece of work.
        func time() async throws -> Double { try await turn() / Double(count) }

        private func turn() async throws -> Double {
            let began = now()
            try await worker(count)
            return now() - began
        }

        private func now() -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
    }
}
