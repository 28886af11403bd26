internal import Foundation
internal import JOSE

/// The metrics that every Prometheus client gives of its process, where /proc tells them.
enum ProcessReadings {
    static var families: [PrometheusText.Family] {
        #if os(Linux)
            guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
                // The second field is a name in parentheses, which may hold blanks.
                let end = text.lastIndex(of: ")")
            else { return [] }
            let fields = text[text.index(after: end)...].split(separator: " ").map { Double($0) ?? 0 }
            guard fields.count > 21 else { return [] }
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let values: [(String, PrometheusText.FamilyType, Double?)] = [
                ("process_cpu_seconds_total", .counter, (fields[11] + fields[12]) / ticks),
                ("process_start_time_seconds", .gauge, bootTime.map { $0 + fields[19] / ticks }),
                ("process_resident_memory_bytes", .gauge, fields[21] * Double(sysconf(Int32(_SC_PAGESIZE)))),
                ("process_open_fds", .gauge, openFiles), ("process_max_fds", .gauge, Double(limit.rlim_cur)),
            ]
            return values.compactMap { name, type, value in
                value.map {
                    PrometheusText.Family(
                        name: name, type: type, help: MetricsDocument.help[name],
                        samples: [PrometheusText.Sample(value: $0)])
                }
            }
        #else
            return []
        #endif
    }

    private static let counted = Locked<(at: ContinuousClock.Instant, files: Double?)?>(nil)

    /// How many files are open. With ten thousand connections that takes milliseconds, and strangers may ask: it is counted
    /// once in five seconds.
    private static var openFiles: Double? {
        counted.withLock { counted in
            if let counted, counted.at + .seconds(5) > .now { return counted.files }
            let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map { Double($0.count) }
            counted = (.now, files)
            return files
        }
    }

    /// When the machine started, in Unix time.
    private static let bootTime = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8))?
        .split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
}
