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
}

/// A bit that was set because a session ended.
struct StatusBit: Sendable {
    let reference: StatusReference
    /// When the last access token that names it expires.
    let tokensUntil: Instant
}
