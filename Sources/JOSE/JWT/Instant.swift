public import Foundation

/// A point in time: microseconds since 1970 in UTC, leap seconds not counted.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public init(_ date: Date) { microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded()) }

    /// A NumericDate (RFC 7519 section 2) without fraction.
    public init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// The whole seconds, rounded down.
    public var seconds: Int64 { microseconds.dividedRoundingDown(by: 1_000_000).quotient }

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
}

extension Duration {
    /// Whole microseconds, rounded down.
    public var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds.dividedRoundingDown(by: 1_000_000_000_000).quotient
    }
}
