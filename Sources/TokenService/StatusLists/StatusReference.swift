internal import JOSE

/// A place in a status list: what the `status` claim of a token names.
struct StatusReference: Hashable, Sendable {
    /// The list's id, the last part of its URL.
    let list: String
    let index: Int

    /// The `status` claim (Token Status List draft, section 6.2).
    func claim(listsURL: String) -> JSONValue {
        ["status_list": ["idx": .integer(Int64(index)), "uri": .string(listsURL + list)]]
    }

    init(list: String, index: Int) {
        self.list = list
        self.index = index
    }

    /// Reads the claim of a token of this issuer's.
    ///
    /// - Returns: `nil` for a claim that names no list of its.
    init?(claim: JSONValue?, listsURL: String) {
        guard let reference = claim?.object?["status_list"]?.object, let index = reference["idx"]?.integer,
            let uri = reference["uri"]?.string, uri.hasPrefix(listsURL)
        else { return nil }
        list = String(uri.dropFirst(listsURL.count))
        self.index = Int(index)
    }
}

/// A bit that was set because a session ended.
struct StatusBit: Sendable {
    let reference: StatusReference
    /// When the last access token that names it expires.
    let tokensUntil: Instant
}
