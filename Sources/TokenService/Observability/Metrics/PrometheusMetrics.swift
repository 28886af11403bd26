public import CoreMetrics
internal import JOSE
internal import Synchronization

/// A backend of swift-metrics that keeps its numbers in memory, and gives them in Prometheus' text format.
///
/// Names become Prometheus': a counter's ends with `_total`, a timer's with `_seconds`.
public final class PrometheusMetrics: MetricsFactory {
    private typealias Dimensions = [[String]]

    private struct Family {
        var type: PrometheusText.FamilyType
        var series: [Dimensions: any Series] = [:]
    }

    private let families = Locked([String: Family]())

    /// However it comes that labels take more values than anybody foresaw, a name has no more series than this; further ones
    /// aren't counted.
    static let maximumSeries = 2000

    public init() {}

    /// The series of a name and labels, the same one each time; one that nobody sees where the name is of another type.
    private func series<Made: Series>(
        _ label: String, _ suffix: String, _ dimensions: [(String, String)], _ type: PrometheusText.FamilyType,
        _ make: () -> Made
    ) -> Made {
        var name = PrometheusText.name(label)
        if !name.hasSuffix(suffix) { name += suffix }
        let key = dimensions.map { [$0.0, $0.1] }
        return families.withLock { families in
            let family = families[name, default: Family(type: type)]
            if let known = family.series[key] { return known as? Made ?? make() }
            let series = make()
            if family.type == type, family.series.count < Self.maximumSeries {
                families[name, default: family].series[key] = series
            }
            return series
        }
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, "_total", dimensions, .counter) { Count() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, "", dimensions, .gauge) { Level() }
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return series(label, "", dimensions, .gauge) { Level() } }
        return series(label, "", dimensions, .histogram) { Histogram(unit: 1) }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, "_seconds", dimensions, .histogram) { Histogram(unit: 1e-9) }
    }

    private func remove(_ handler: AnyObject) {
        families.withLock { families in
            for name in families.keys {
                families[name]!.series = families[name]!.series.filter { $0.value !== handler }
            }
            families = families.filter { !$0.value.series.isEmpty }
        }
    }

    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }

    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }

    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }

    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    /// All that was counted.
    func families(help: [String: String]) -> [PrometheusText.Family] {
        families.withLock { $0 }.map { name, family in
            PrometheusText.Family(
                name: name, type: family.type, help: help[name],
                samples: family.series.sorted { $0.key.lexicographicallyPrecedes($1.key) { $0[1] < $1[1] } }.flatMap {
                    dimensions, series in
                    let labels = dimensions.map { (PrometheusText.name($0[0]), $0[1]) }
                    return series.samples.map {
                        PrometheusText.Sample(suffix: $0.suffix, labels: labels + $0.labels, value: $0.value)
                    }
                })
        }
    }
}

/// What one set of labels counts.
private protocol Series: AnyObject, Sendable {
    var samples: [PrometheusText.Sample] { get }
}

private final class Count: Series, CounterHandler {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { value.store(0, ordering: .relaxed) }

    var samples: [PrometheusText.Sample] { [PrometheusText.Sample(value: Double(value.load(ordering: .relaxed)))] }
}

private final class Level: Series, MeterHandler, RecorderHandler {
    private let value = Locked(0.0)

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) { self.value.withLock { $0 = value } }

    func increment(by amount: Double) { value.withLock { $0 += amount } }

    func decrement(by amount: Double) { value.withLock { $0 -= amount } }

    func record(_ value: Int64) { set(Double(value)) }

    func record(_ value: Double) { set(value) }

    var samples: [PrometheusText.Sample] { [PrometheusText.Sample(value: value.withLock { $0 })] }
}

private final class Histogram: Series, TimerHandler, RecorderHandler {
    /// The upper bounds of the buckets, but for the last one's, which has none; in seconds for a timer.
    private static let bounds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    private struct State {
        var counts = [Int64](repeating: 0, count: Histogram.bounds.count + 1)
        var sum = 0.0
    }

    private let unit: Double
    private let state = Locked(State())

    /// - Parameter unit: what a recorded number is multiplied by.
    init(unit: Double) { self.unit = unit }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration)) }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let value = value * unit
        let bucket = Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    var samples: [PrometheusText.Sample] {
        let state = state.withLock { $0 }
        var sum: Int64 = 0
        var samples: [PrometheusText.Sample] = []
        for (bound, count) in zip(Self.bounds.map { "\($0)" } + ["+Inf"], state.counts) {
            sum += count
            samples.append(PrometheusText.Sample(suffix: "_bucket", labels: [("le", bound)], value: Double(sum)))
        }
        samples.append(PrometheusText.Sample(suffix: "_sum", value: state.sum))
        samples.append(PrometheusText.Sample(suffix: "_count", value: Double(sum)))
        return samples
    }
}
