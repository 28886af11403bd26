extension Instant {
    /// RFC 3339 in UTC, with a fraction where there is one.
    public var description: String {
        func padded(_ number: Int64, _ count: Int) -> String {
            let digits = String(number.magnitude)
            return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, count - digits.count)) + digits
        }
        let (second, microsecond) = microseconds.dividedRoundingDown(by: 1_000_000)
        let (day, time) = second.dividedRoundingDown(by: 86_400)
        let (year, month, dayOfMonth) = Self.date(daysSince1970: day)
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))"
        let clock = "\(padded(time / 3600, 2)):\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2))"
        return "\(date)T\(clock)\(microsecond == 0 ? "" : "." + padded(microsecond, 6))Z"
    }

    /// Reads RFC 3339, to the microsecond; `nil` for anything else, and for a leap second.
    public init?(rfc3339 text: String) {
        let date = /([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]/
        let clock = /([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?/
        let zone = /[Zz]|([+-])([0-9]{2}):([0-9]{2})/
        guard let day = text.prefixMatch(of: date),
            let time = text[day.range.upperBound...].prefixMatch(of: clock),
            let offset = text[time.range.upperBound...].wholeMatch(of: zone),
            let year = Int64(day.1), let month = Int64(day.2), let dayOfMonth = Int64(day.3),
            let hour = Int64(time.1), let minute = Int64(time.2), let second = Int64(time.3),
            let offsetHour = Int64(offset.2 ?? "0"), let offsetMinute = Int64(offset.3 ?? "0"),
            hour < 24, minute < 60, second < 60, offsetHour < 24, offsetMinute < 60
        else { return nil }
        let days = Self.daysSince1970(year: year, month: month, day: dayOfMonth)
        // A day that isn't in the calendar comes back as another one.
        guard Self.date(daysSince1970: days) == (year, month, dayOfMonth) else { return nil }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
        self.init(seconds: seconds - (offsetHour * 60 + offsetMinute) * (offset.1 == "-" ? -60 : 60))
        if let fraction = time.4 { microseconds += Int64((fraction + "00000").prefix(6))! }
    }

    // The calendar's pattern repeats every 400 years, an era of 146,097 days. Years begin in March here, so that the
    // leap day is the last one.

    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let (era, yearOfEra) = (month > 2 ? year : year - 1).dividedRoundingDown(by: 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func date(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).dividedRoundingDown(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = (monthFromMarch + 2) % 12 + 1
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}

extension Int64 {
    /// The quotient rounded down, and the remainder, which has the divisor's sign.
    func dividedRoundingDown(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
