public import Foundation

/// A point in time: microseconds since 1970 in UTC, leap seconds not counted.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public init(_ date: Date) { microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded()) }

    /// A NumericDate (RFC 7519 section 2) without fraction.
    public init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// The whole seconds, rounded down.
    public var seconds: Int64 { microseconds.dividedRoundingDown(by: 1_000_000) }

    public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds + duration.microseconds)
    }

    public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds - duration.microseconds)
    }

    /// How much later the left one is.
    public static func - (left: Instant, right: Instant) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }

    /// RFC 3339 in UTC, with a fraction where there is one.
    public var description: String {
        let fraction = microseconds - seconds * 1_000_000
        let whole = Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
        guard fraction != 0 else { return whole }
        let digits = String(fraction)
        return whole.dropLast() + "." + String(repeating: "0", count: 6 - digits.count) + digits + "Z"
    }

    /// Reads RFC 3339, to the microsecond; `nil` for anything else.
    public init?(rfc3339 text: String) {
        // Foundation reads a fraction only if told so, and keeps milliseconds: take it out and add it back.
        var whole = text
        var fraction: Int64 = 0
        if let match = text.firstMatch(of: /\.([0-9]{1,9})/) {
            whole.removeSubrange(match.range)
            fraction = Int64(match.1.prefix(6).padding(toLength: 6, withPad: "0", startingAt: 0)) ?? 0
        }
        guard let date = try? Date(whole, strategy: .iso8601) else { return nil }
        self.init(seconds: Int64(date.timeIntervalSince1970))
        microseconds += fraction
    }
}

extension Duration {
    /// Whole microseconds, rounded down.
    public var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds.dividedRoundingDown(by: 1_000_000_000_000)
    }
}

extension Int64 {
    fileprivate func dividedRoundingDown(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
