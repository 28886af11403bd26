public import JOSE

/// Where keys rest: records, and private halves encrypted under the master secret.
public protocol KeyStore: Sendable {
    /// Where that is, in words.
    var place: String { get }

    /// All records, and what couldn't be read.
    ///
    /// - Throws: ``KeyServiceError`` `storage` where nothing can be read at all.
    func contents() async throws -> KeyStoreContents

    /// The private half of a key.
    ///
    /// - Throws: ``KeyServiceError`` `masterSecret` where no line of the secret opens it, `storage` where it isn't there.
    func privateKey(of record: KeyRecord) async throws -> PrivateKey

    /// Lets `decide` look at the store and say what changes, while nobody else changes it, and makes that durable before
    /// it returns.
    ///
    /// - Parameter decide: the steps, in their order, and what the caller gets. It may run more than once.
    /// - Throws: what `decide` throws, with nothing changed; ``KeyServiceError`` `storage` where it can't be written.
    func change<Result: Sendable>(
        _ decide: @escaping @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Result)
    ) async throws -> Result

    /// Something that differs whenever the store was changed; cheap enough to ask for every second.
    func version() async throws -> KeyStoreVersion

    /// Encrypts every private half under the first line of the master secret.
    ///
    /// - Returns: how many there are.
    /// - Throws: ``KeyServiceError`` `storage` where some couldn't be; the others are.
    func reencrypt() async throws -> Int

    /// Every key as text, its private half locked.
    ///
    /// - Throws: ``KeyServiceError`` `storage` where one is damaged.
    func texts() async throws -> [String]

    /// Takes what ``texts()`` of another store gave, into an empty one.
    ///
    /// - Throws: ``KeyServiceError`` `refused` where there are keys already.
    func adopt(_ texts: [String]) async throws
}

/// What a store holds.
public struct KeyStoreContents: Sendable {
    /// What could be read.
    public let records: [KeyRecord]
    /// What couldn't.
    public let damaged: [DamagedKey]
    /// Whether no key was ever announced: then no verifier can have a copy of the JWKS that lacks one.
    public let isNew: Bool

    /// Contents as a store of another kind has them.
    public init(records: [KeyRecord], damaged: [DamagedKey] = [], isNew: Bool) {
        self.records = records
        self.damaged = damaged
        self.isNew = isNew
    }

    /// What there is after some steps that aren't done yet.
    func applying(_ changes: [KeyChange]) -> KeyStoreContents {
        KeyStoreContents(records: records.applying(changes), damaged: damaged, isNew: isNew)
    }
}

/// A stored key that can't be read; the others are not touched by that.
public struct DamagedKey: Hashable, Sendable, CustomStringConvertible {
    /// The file, or the row.
    public let name: String
    /// What is wrong with it.
    public let reason: String

    public var description: String { "\(name): \(reason)" }
}

/// The version of a store's contents.
public struct KeyStoreVersion: Hashable, Sendable {
    let parts: [String]
}

/// One step of a change to the store. Steps are made durable in their order, so that a kill between two leaves a ring
/// that is sound.
public enum KeyChange: Sendable {
    /// A new key; without a private half where it only verifies.
    case add(KeyRecord, PrivateKey?)
    /// A record in place of the one with its `kid`.
    case update(KeyRecord)
    /// Keeps the record and the public half.
    case erasePrivateKey(KeyRecord)
    /// Forgets a key altogether.
    case remove(KeyRecord)

    /// The record as it stands after this step.
    var record: KeyRecord? {
        switch self {
        case .add(let record, _), .update(let record): return record
        case .erasePrivateKey(var record):
            record.hasPrivateKey = false
            return record
        case .remove: return nil
        }
    }

    /// The key that this step is about.
    var keyID: KeyID {
        switch self {
        case .add(let record, _), .update(let record), .erasePrivateKey(let record), .remove(let record): record.keyID
        }
    }
}

extension [KeyRecord] {
    /// The records after some steps.
    func applying(_ changes: [KeyChange]) -> [KeyRecord] {
        changes.reduce(self) { records, change in
            records.filter { $0.keyID != change.keyID } + [change.record].compactMap(\.self)
        }
    }

    /// The records with the revocations that others know of.
    func revoking(_ known: [KeyID: KnownKeys.Key]) -> [KeyRecord] {
        map { record in
            guard record.revokedAt == nil, let revokedAt = known[record.keyID]?.revokedAt else { return record }
            var revoked = record
            revoked.revokedAt = revokedAt
            return revoked
        }
    }
}
