public import Foundation

/// A point in time: microseconds since 1970 in UTC, leap seconds not counted.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Microseconds since 1970-01-01T00:00:00Z, negative before.
    public var microseconds: Int64

    /// So many microseconds after 1970-01-01T00:00:00Z.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// A date, rounded to the microsecond.
    public init(_ date: Date) { microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded()) }

    /// A NumericDate (RFC 7519 section 2) without fraction.
    public init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// The whole seconds, rounded down.
    public var seconds: Int64 { microseconds.dividedRoundingDown(by: 1_000_000).quotient }

    public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }

    /// The instant so much later.
    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds + duration.microseconds)
    }

    /// The instant so much earlier.
    public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds - duration.microseconds)
    }

    /// How much later the left one is.
    public static func - (left: Instant, right: Instant) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }
}

extension Duration {
    /// Whole microseconds, rounded down.
    public var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds.dividedRoundingDown(by: 1_000_000_000_000).quotient
    }
}
