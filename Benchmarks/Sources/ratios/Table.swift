internal import Foundation

/// The table as it is printed, and whether its bars are met.
struct Table {
    private(set) var missed = 0

    enum Bar {
        case atLeast(Double)
        /// Ours has to be ahead of it.
        case behind(Race.Row)
        /// Ours has to be ahead of it, or as fast within the noise.
        case levelWith(Race.Row)
    }

    /// What counts as the same speed.
    private static let noise = 0.02

    func head() {
        print("| work | operations/s | to the C loop | half of the rounds | bar |\n| --- | --- | --- | --- | --- |")
    }

    func section(_ title: String) { print("| **\(title)** | | | | |") }

    func base(_ row: Race.Row) { line(row, "1", "", "") }

    mutating func row(_ row: Race.Row, _ bar: Bar? = nil) {
        let places = row.median < 10 ? 3 : 1
        let (text, isMet) = verdict(row, bar)
        if !isMet { missed += 1 }
        line(
            row, decimal(row.median, places),
            "\(decimal(row.quantile(0.25), places)) to \(decimal(row.quantile(0.75), places))", text)
    }

    private func verdict(_ row: Race.Row, _ bar: Bar?) -> (String, isMet: Bool) {
        switch bar {
        case nil: return ("", true)
        case .atLeast(let ratio):
            let isMet = row.median >= ratio
            return ("\(decimal(ratio, ratio < 10 ? 2 : 0)): \(isMet ? "met" : "missed")", isMet)
        case .behind(let ours):
            let isMet = ours.median > row.median
            return ("ours is \(decimal(ours.median / row.median, 2)) times as fast: \(isMet ? "met" : "missed")", isMet)
        case .levelWith(let ours):
            let isMet = ours.median >= row.median * (1 - Self.noise)
            return ("ours is \(decimal(ours.median / row.median, 2)) times as fast: \(isMet ? "met" : "missed")", isMet)
        }
    }

    private func line(_ row: Race.Row, _ ratio: String, _ spread: String, _ bar: String) {
        print("| \(row.name) | \(decimal(row.operationsPerSecond, 0)) | \(ratio) | \(spread) | \(bar) |")
        fflush(nil)
    }

    private func decimal(_ number: Double, _ places: Int) -> String { String(format: "%.\(places)f", number) }
}
