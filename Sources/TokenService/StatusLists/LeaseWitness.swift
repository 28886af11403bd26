internal import Foundation
internal import JOSE

/// Remembers beside a database file when the last block of places was leased. A database that tells another instant has
/// gone back in time, since it was restored from a copy: places that it takes for free may have been handed out already.
///
/// A witness that is lost or behind only costs a list that isn't filled up.
struct LeaseWitness: Sendable {
    private let path: String

    /// - Parameter databasePath: the path of the database file.
    init(databasePath: String) { path = databasePath + "-leases" }

    /// Whether the database tells the instant that was remembered; `nil` stands for none.
    func confirms(_ leasedAt: Instant?) -> Bool { remembered == leasedAt }

    private var remembered: Instant? {
        FileManager.default.contents(atPath: path)
            .flatMap { Int64(String(decoding: $0, as: UTF8.self)) }.map(Instant.init(microseconds:))
    }

    func remember(_ leasedAt: Instant) {
        try? Data(String(leasedAt.microseconds).utf8).write(to: URL(filePath: path), options: .atomic)
    }
}
