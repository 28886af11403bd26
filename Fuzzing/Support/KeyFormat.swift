/// The forms of keys that are imported; the first byte of an input to `KeyImporter` says which.
package enum KeyFormat: UInt8, CaseIterable {
    case jwk, jwkSet, publicPEM, privatePEM, encryptedPEM

    /// Any byte is one of them.
    package init(_ byte: UInt8) { self = Self.allCases[Int(byte) % Self.allCases.count] }

    /// An input to `KeyImporter`.
    package func input(_ text: some Sequence<UInt8>) -> [UInt8] { [rawValue] + text }

    package static let passphrase = "a passphrase"
}
