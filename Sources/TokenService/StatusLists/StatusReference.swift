internal import JOSE
internal import TokenVerifier

/// A place in a status list: what the `status` claim of a token names.
struct StatusReference: Hashable, Sendable {
    /// The list's id, the last part of its URL.
    let list: String
    let index: Int

    init(list: String, index: Int) {
        self.list = list
        self.index = index
    }

    /// The place that a token names; `nil` for one in somebody else's list.
    init?(_ reference: StatusListReference, listsURL: String) {
        guard reference.uri.utf8.starts(with: listsURL.utf8) else { return nil }
        self.init(list: String(Substring(reference.uri.utf8.dropFirst(listsURL.utf8.count))), index: reference.index)
    }

    /// Writes the `status` claim (Token Status List draft, section 6.2).
    func appendClaim(to claims: inout JSONObjectWriter, listsURL: String) {
        claims.append("status") { status in
            status.append("status_list") { place in
                place.append("idx", Int64(index))
                place.append("uri", listsURL + list)
            }
        }
    }
}

/// A bit that was set because a session ended.
struct StatusBit: Sendable {
    let reference: StatusReference
    /// When the last access token that names it expires.
    let tokensUntil: Instant
}
