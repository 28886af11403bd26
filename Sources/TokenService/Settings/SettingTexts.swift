internal import Foundation
internal import TokenVerifier

/// The texts of settings that aren't just text.
enum SettingText {
    /// `10s`, `10m`, `12h`, `30d`, or `0`.
    static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = digits(text.dropLast()) else { return nil }
        let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
        // A century is beyond any sense, and well within what instants hold.
        guard !overflow, seconds <= 100 * 366 * 86_400 else { return nil }
        return .seconds(seconds)
    }

    /// `19MiB`, in KiB.
    static func memory(_ text: String) -> Int? {
        for (unit, kibibytes) in [("KiB", 1), ("MiB", 1024), ("GiB", 1024 * 1024)] where text.hasSuffix(unit) {
            guard let count = digits(text.dropLast(unit.count)), count <= 1024 * 1024 else { return nil }
            return Int(count) * kibibytes
        }
        return nil
    }

    static func digits(_ text: some StringProtocol) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int64(text) : nil
    }
}

/// A host and a port.
public struct ListenAddress: Sendable, Hashable {
    public let host: String
    public let port: Int

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = SettingText.digits(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = Int(port)
    }

    /// Whether only this machine reaches it.
    var isLoopback: Bool { WebOrigin.isLoopback(host: host) }

    /// The URL of a server that listens here.
    func url(scheme: String, port: Int) -> String {
        "\(scheme)://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }
}
