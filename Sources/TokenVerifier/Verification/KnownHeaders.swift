internal import JOSE

/// A header that a valid token had, and the key that had signed it. An object, so that handing it on counts one reference.
final class KnownHeader: Sendable {
    let header: JWSHeader
    let key: JWK
    /// The set in which the key was found.
    let keys: PublishedKeys

    init(_ header: JWSHeader, signedWith key: JWK, of keys: PublishedKeys) {
        self.header = header
        self.key = key
        self.keys = keys
    }
}

/// Remembers the headers of valid tokens as they are spelt: an issuer spells them once for each key.
final class KnownHeaders: Sendable {
    private struct Entry {
        let text: [UInt8]
        let header: KnownHeader
    }

    private let entries = Locked([Entry]())

    /// More are those of an issuer that spells each of its tokens in another way.
    private static let capacity = 8

    /// The header that a text spells, if it was known in this set.
    func header(_ text: ArraySlice<UInt8>, in keys: PublishedKeys) -> KnownHeader? {
        entries.withLock { entries in
            entries.first { $0.header.keys === keys && $0.text.elementsEqual(text) }?.header
        }
    }

    func insert(_ header: KnownHeader, _ text: ArraySlice<UInt8>) {
        entries.withLock { entries in
            entries.removeAll { $0.header.keys !== header.keys }
            if entries.count == Self.capacity { entries.removeFirst() }
            entries.append(Entry(text: Array(text), header: header))
        }
    }
}
