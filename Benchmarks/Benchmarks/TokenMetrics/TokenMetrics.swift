internal import Benchmark
internal import TokenWork

/// One for all of them: making keys and tokens takes seconds.
private let workshop = Task { try await Workshop() }

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .cpuTotal, .throughput, .instructions, .contextSwitches, .syscalls],
        warmupIterations: 2, scalingFactor: .kilo, maxDuration: .seconds(2))

    for (index, algorithm) in ["ES256", "RS256"].enumerated() {
        for work in Work.allCases {
            Benchmark("\(algorithm), \(work.rawValue)") { benchmark in
                let contestants = try await workshop.value.contestants[index]
                let worker = try await contestants.worker(work)
                // A verifier fetches the keys and the status list once.
                try await worker(1)
                benchmark.startMeasurement()
                try await worker(benchmark.scaledIterations.count)
            }
        }
    }

    Benchmark("Argon2id", configuration: .init(scalingFactor: .one, maxDuration: .seconds(2))) { _ in
        try await Workshop.argon2id.service(1)
    }
}
