import Foundation
import Testing

@testable import JOSE

@Suite("An instant")
struct InstantTests {
    @Test(
        "is written in RFC 3339 and read back",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (-1, "1969-12-31T23:59:59.999999Z"),
            (-1_000_000, "1969-12-31T23:59:59Z"), (-1_500_000, "1969-12-31T23:59:58.500000Z"),
            (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"), (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"), (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
            (1_000_000_000_100_000, "2001-09-09T01:46:40.100000Z"),
        ] as [(Int64, String)])
    func text(_ microseconds: Int64, _ text: String) {
        let instant = Instant(microseconds: microseconds)
        #expect(instant.description == text)
        #expect(Instant(rfc3339: text) == instant)
    }

    @Test(
        "is read with offsets and fractions of any length",
        arguments: [
            ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T19:00:00-05:00", 0), ("1970-01-01T00:00:00+00:00", 0),
            ("1970-01-01T05:30:00.5+05:30", 500_000), ("1970-01-01T00:00:00.1Z", 100_000),
            ("1970-01-01T00:00:00.123456789Z", 123_456), ("1970-01-01T00:00:00.0000001Z", 0),
            ("1970-01-01t00:00:00z", 0), ("1970-01-01T00:00:00-00:00", 0),
        ] as [(String, Int64)])
    func otherSpellings(_ text: String, _ microseconds: Int64) {
        #expect(Instant(rfc3339: text) == Instant(microseconds: microseconds))
    }

    @Test(
        "isn't read from anything else",
        arguments: [
            "", "now", "1970-01-01", "00:00:00Z", "1970-01-01T00:00:00", "1970-01-01 00:00Z", "1970-01-01T00:00Z",
            "19700101T000000Z", "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z", "1970-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z", "1970-01-32T00:00:00Z", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z", "1970-01-01.5T00:00:00Z", "1970-01-01T00:00.5:00Z",
            "1970-01-01T00:00:00Z.5", "1970-01-01T00:00:00ZZ", "1970-01-01T00:00:00Z ", " 1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Zjunk", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+01:60",
            "1970-01-01T00:00:00+1",
            "70-01-01T00:00:00Z", "300000-01-01T00:00:00Z", "+1970-01-01T00:00:00Z", "-001-01-01T00:00:00Z",
            "1970-1-1T0:0:0Z", "1970-01-01T00:00:00,5Z", "١٩٧٠-01-01T00:00:00Z", "1970-01-01T00:00:00.5",
            "1970/01/01T00:00:00Z",
            "0000-00-00T00:00:00Z",
        ])
    func notRead(_ text: String) { #expect(Instant(rfc3339: text) == nil) }

    @Test(
        "counts seconds rounded down",
        arguments: [(1_999_999, 1), (-1, -1), (-1_000_000, -1), (-1_000_001, -2), (0, 0)] as [(Int64, Int64)])
    func seconds(_ microseconds: Int64, _ seconds: Int64) {
        #expect(Instant(microseconds: microseconds).seconds == seconds)
        #expect(Instant(seconds: seconds).microseconds == seconds * 1_000_000)
    }

    @Test("is moved by durations, and the difference is one")
    func arithmetic() {
        let instant = Instant(seconds: 100)
        #expect(instant + .milliseconds(1500) == Instant(microseconds: 101_500_000))
        #expect(instant - .seconds(200) == Instant(seconds: -100))
        #expect(instant + .seconds(-1) == Instant(seconds: 99))
        #expect(instant - Instant(seconds: 40) == .seconds(60))
        #expect(Instant(seconds: 40) - instant == .seconds(-60))
        #expect(instant + .seconds(86_400) - .seconds(86_400) == instant)
    }

    @Test(
        "takes durations to the microsecond, rounded down",
        arguments: [
            (.nanoseconds(1999), 1), (.nanoseconds(-1), -1), (.nanoseconds(-1000), -1), (.seconds(-2), -2_000_000),
            (.milliseconds(-1500), -1_500_000),
        ] as [(Duration, Int64)])
    func durations(_ duration: Duration, _ microseconds: Int64) { #expect(duration.microseconds == microseconds) }

    @Test("is ordered")
    func order() {
        #expect(Instant(microseconds: -1) < Instant(microseconds: 0))
        #expect(Instant(seconds: 2) > Instant(microseconds: 1_999_999))
        #expect([Instant(seconds: 3), Instant(seconds: -3)].min() == Instant(seconds: -3))
    }

    @Test("is the same as a date", arguments: [0, 0.5, -0.5, 1_700_000_000.25])
    func date(_ seconds: Double) {
        #expect(Instant(Date(timeIntervalSince1970: seconds)) == Instant(microseconds: Int64(seconds * 1_000_000)))
    }

    @Test("has a text at the ends of its range", arguments: [Int64.min, Int64.max])
    func extremes(_ microseconds: Int64) { #expect(Instant(microseconds: microseconds).description.hasSuffix("Z")) }
}
