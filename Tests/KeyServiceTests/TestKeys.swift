import Foundation
import JOSE
import Testing

@testable import KeyService

/// An instant of the tests' time, which starts at 2027.
func at(_ offset: Duration) -> Instant { Instant(seconds: 1_798_761_600) + offset }

func at(_ seconds: Int64) -> Instant { at(.seconds(seconds)) }

extension Duration {
    static func minutes(_ number: Int64) -> Duration { .seconds(number * 60) }
    static func hours(_ number: Int64) -> Duration { .seconds(number * 3600) }
    static func days(_ number: Int64) -> Duration { .seconds(number * 86_400) }
    static let instant = Duration.microseconds(1)
}

extension KeySchedule {
    /// The defaults, for one algorithm whose keys are made fast.
    static var test: KeySchedule { KeySchedule(algorithms: [.es256]) }

    static func test(_ change: (inout KeySchedule) -> Void) -> KeySchedule {
        var schedule = test
        change(&schedule)
        return schedule
    }
}

/// A record of a new key.
func record(
    _ algorithm: Algorithm = .es256, created: Instant? = nil, activates: Instant, lifetime: Duration = .seconds(600),
    _ change: (inout KeyRecord) -> Void = { _ in }
) throws -> KeyRecord {
    var record = try KeyRecord(
        .generate(for: algorithm), algorithm: algorithm, createdAt: created ?? activates - .hours(1),
        activatesAt: activates, schedule: .test { $0.tokenLifetime = lifetime })
    change(&record)
    return record
}

func verifyOnlyRecord(until: Instant) throws -> KeyRecord {
    try KeyRecord(
        verifyOnly: PrivateKey.generate(for: .es256).publicKey, keyID: nil, algorithm: .es256, createdAt: at(0),
        until: until, schedule: .test)
}

/// The ring of some records, under a leeway of 30 seconds.
func ring(_ records: KeyRecord...) -> KeyRing { KeyRing(records, clockLeeway: .seconds(30)) }

/// What a store holds, as a value that plans change.
struct Shelf {
    var contents = KeyStoreContents(records: [], isNew: true)

    var records: [KeyRecord] { contents.records }

    /// Does what a plan says, as a store would.
    @discardableResult
    mutating func apply(_ changes: [KeyChange]) -> [KeyChange] {
        contents = KeyStoreContents(records: contents.records.applying(changes), isNew: false)
        return changes
    }

    @discardableResult
    mutating func start(_ schedule: KeySchedule = .test, at now: Instant) throws -> [KeyChange] {
        apply(try KeyPlanner(schedule: schedule).start(contents, at: now))
    }

    /// Rotates, and answers the new key of the first algorithm.
    @discardableResult
    mutating func rotate(_ schedule: KeySchedule = .test, immediately: Bool = false, at now: Instant) throws
        -> KeyRecord
    {
        let planner = KeyPlanner(schedule: schedule)
        return try #require(
            apply(try planner.rotation(of: nil, immediately: immediately, contents, at: now)).first?.record)
    }

    @discardableResult
    mutating func revoke(_ record: KeyRecord, _ schedule: KeySchedule = .test, at now: Instant) throws -> [KeyChange] {
        let planner = KeyPlanner(schedule: schedule)
        return apply(try planner.revocation(of: record.keyID, reason: "leaked", contents, at: now))
    }

    /// Makes what is due, and answers it.
    @discardableResult
    mutating func automaticRotation(_ schedule: KeySchedule = .test, at now: Instant) throws -> [KeyRecord] {
        apply(try KeyPlanner(schedule: schedule).automaticRotation(contents, at: now)).compactMap(\.record)
    }

    func ring(_ schedule: KeySchedule = .test) -> KeyRing { KeyPlanner(schedule: schedule).ring(records) }

    func state(of record: KeyRecord, at now: Instant) throws -> KeyState {
        try ring().state(of: #require(ring().record(record.keyID)), at: now)
    }

    func active(_ algorithm: Algorithm = .es256, at now: Instant) -> KeyID? {
        ring().active(algorithm, at: now)?.keyID
    }
}

/// Runs a test over the path of a folder that isn't there yet; what comes to be there goes afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/key-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

/// A clock that tests set.
final class TestClock: Sendable {
    private let instant: Locked<Instant>

    init(_ instant: Instant) { self.instant = Locked(instant) }

    var now: Instant {
        get { instant.withLock { $0 } }
        set { instant.withLock { $0 = newValue } }
    }
}

/// A sequence of numbers that a seed determines (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var number = state
        number = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        number = (number ^ (number >> 27)) &* 0x94D0_49BB_1331_11EB
        return number ^ (number >> 31)
    }

    mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
        .microseconds(Int64.random(in: range.lowerBound.microseconds...range.upperBound.microseconds, using: &self))
    }
}
