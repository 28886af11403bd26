public import JOSE

/// Where a verifier gets the issuer's public keys.
public protocol KeySource: Sendable {
    /// The keys as the source has them now.
    ///
    /// - Throws: ``VerifierUnavailable`` where it has none that may still be used.
    func keys() async throws -> PublishedKeys

    /// Looks again, since a token names a key that isn't there; sources bound how often they do.
    ///
    /// - Returns: `nil` where there was no new look.
    func keysLookingAgain() async -> PublishedKeys?
}

/// A key set at one time, by `kid`. Two sets that are the same object are the same set.
public final class PublishedKeys: Sendable {
    /// The keys.
    public let set: JWKSet
    private let byID: [KeyID: [JWK]]

    /// The keys of a set, as a source of their own.
    public init(_ set: JWKSet) {
        self.set = set
        byID = Dictionary(
            grouping: set.keys.compactMap { key in key.keyID.map { ($0, key) } }, by: \.0
        ).mapValues { $0.map(\.1) }
    }

    /// Whether a key is published under its `kid`.
    func contains(_ key: JWK) -> Bool {
        let candidates = key.keyID.map { byID[$0] ?? [] } ?? set.keys
        return candidates.contains { $0.publicKey == key.publicKey && $0.algorithm == key.algorithm }
    }
}

/// A set of keys that is at hand already.
extension PublishedKeys: KeySource {
    public func keys() async throws -> PublishedKeys { self }

    public func keysLookingAgain() async -> PublishedKeys? { nil }
}

/// Nothing can be said of tokens now: neither that they are valid nor that they aren't.
public struct VerifierUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// What couldn't be had, for the log.
    public let reason: String

    /// An answer that can't be given, with a reason that holds no token.
    public init(_ reason: String) { self.reason = reason }

    public var description: String { reason }
}
