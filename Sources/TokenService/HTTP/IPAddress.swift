internal import Foundation

/// An IP address; an IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is the same as the IPv4 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// As IPv6: IPv4 addresses are those under `::ffff:0:0/96`.
    private let bytes: [UInt8]

    private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Reads `192.0.2.1` or `2001:db8::1`; a zone (`%eth0`) is passed over.
    public init?(_ text: some StringProtocol) {
        let text = String(text.prefix { $0 != "%" })
        guard text.utf8.count <= 45 else { return nil }
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = Self.mappedPrefix + withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: six) { Array($0) }
        } else {
            return nil
        }
    }

    private var isIPv4: Bool { bytes.starts(with: Self.mappedPrefix) }

    /// What one party commonly has to itself: an IPv4 address, the /64 of an IPv6 address.
    var network: IPAddress { isIPv4 ? self : prefix(64) }

    private func prefix(_ length: Int) -> IPAddress {
        IPAddress(
            bytes: bytes.enumerated().map { index, byte in
                let kept = min(max(length - index * 8, 0), 8)
                return byte & ~UInt8(truncatingIfNeeded: 0xFF >> kept)
            })
    }

    public var description: String {
        var text = [CChar](repeating: 0, count: 64)
        if isIPv4 {
            inet_ntop(AF_INET, Array(bytes.suffix(4)), &text, 64)
        } else {
            inet_ntop(AF_INET6, bytes, &text, 64)
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A range of addresses, `192.0.2.0/24`; a single address is one, too.
    public struct Range: Hashable, Sendable {
        private let first: IPAddress
        /// Of the address as IPv6.
        private let length: Int

        init?(_ text: some StringProtocol) {
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let address = IPAddress(parts[0]) else { return nil }
            let offset = address.isIPv4 ? 96 : 0
            guard parts.count == 2 else {
                (first, length) = (address, 128)
                return
            }
            guard let digits = SettingText.digits(parts[1]), digits <= 128 - offset else { return nil }
            length = offset + Int(digits)
            first = address.prefix(length)
        }

        func contains(_ address: IPAddress) -> Bool { address.prefix(length) == first }
    }
}
