internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// Tells where a request really comes from, behind proxies that are trusted to say so.
struct ClientAddress: Sendable {
    let trustedProxies: [IPAddress.Range]

    /// The other end of the connection, or, where that is a trusted proxy, the last address in X-Forwarded-For that isn't.
    func callAsFunction(_ request: Request, _ context: ServiceRequestContext) -> IPAddress? {
        guard var address = context.remoteAddress.flatMap({ IPAddress($0) }) else { return nil }
        var forwarded = request.headers[values: .xForwardedFor].flatMap { $0.parts(between: ",") }
        while isTrusted(address), let entry = forwarded.popLast() {
            // What a trusted proxy can't have written ends the chain.
            guard entry.isASCII, let next = Self.address(entry[...].trimming { $0 == " " || $0 == "\t" }) else { break }
            address = next
        }
        return address
    }

    private func isTrusted(_ address: IPAddress) -> Bool { trustedProxies.contains { $0.contains(address) } }

    /// An address with or without a port: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
    private static func address(_ text: Substring) -> IPAddress? {
        if text.hasPrefix("[") { return IPAddress(text.dropFirst().prefix { $0 != "]" }) }
        let colons = text.count { $0 == ":" }
        return IPAddress(colons == 1 ? text.prefix { $0 != ":" } : text)
    }
}

extension Substring {
    /// The text without such characters at its ends.
    func trimming(_ isUnwanted: (Character) -> Bool) -> Substring {
        var text = drop(while: isUnwanted)
        while let last = text.last, isUnwanted(last) { text.removeLast() }
        return text
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}
