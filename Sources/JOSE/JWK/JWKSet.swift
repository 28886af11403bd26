/// A set of keys (RFC 7517 section 5).
public struct JWKSet: Sendable {
    /// The keys, in their order.
    public let keys: [JWK]

    /// The largest text that is read, in bytes.
    public static let maximumSize = 1024 * 1024
    /// The most keys that are read.
    public static let maximumCount = 1024

    /// A set of some keys.
    public init(_ keys: [JWK]) { self.keys = keys }

    /// Reads a set. As the RFC has it, keys that can't be used are passed over: another key type, a member missing, a
    /// weak key.
    ///
    /// - Throws: ``JOSEError`` `malformed` where it isn't an object with a `keys` array of objects, or is too large.
    public init(json: some Collection<UInt8>) throws {
        guard json.count <= Self.maximumSize else {
            throw JOSEError(.malformed, "a JWK Set over \(Self.maximumSize) bytes")
        }
        guard let elements = try JSONObject(json: json)["keys"]?.array else {
            throw JOSEError(.malformed, "a JWK Set without keys")
        }
        guard elements.count <= Self.maximumCount else {
            throw JOSEError(.malformed, "a JWK Set of more than \(Self.maximumCount) keys")
        }
        keys = try elements.compactMap { element in
            guard let members = element.object else { throw JOSEError(.malformed, "a JWK that isn't an object") }
            return try? JWK(members: members)
        }
    }

    /// The JSON text, with the public members of every key and no others.
    public func json() throws -> [UInt8] {
        JSONValue.object(["keys": .array(try keys.map { .object(try $0.publicMembers()) })]).json
    }

    /// The keys that a header may mean: those of its `kid`, or all where it has none.
    public func keys(for header: JWSHeader) -> [JWK] { keys.filter { $0.isMeant(by: header) } }
}
