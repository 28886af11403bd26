internal import Foundation

/// Scheme, host and port of a URL.
package enum WebOrigin {
    /// The origin as browsers spell it (RFC 6454 section 6.2); `nil` for anything but http and https URLs.
    package static func of(_ url: String) -> String? {
        guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased(),
            let standard = ["http": 80, "https": 443][scheme], let host = components.encodedHost?.lowercased(),
            !host.isEmpty
        else { return nil }
        let port = components.port.flatMap { $0 == standard ? nil : ":\($0)" } ?? ""
        return "\(scheme)://\(host)\(port)"
    }

    /// Whether a host is this machine.
    package static func isLoopback(host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isIPv4 = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
        return ["localhost", "::1", "[::1]"].contains(host) || isIPv4 && parts[0] == "127"
    }
}
