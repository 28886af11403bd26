/// Fetches what an issuer publishes. Tests put their own in the place of HTTP.
package protocol DocumentSource: Sendable {
    /// Gets a document once.
    ///
    /// - Parameter entityTag: of the copy that is at hand.
    /// - Throws: ``VerifierUnavailable``, also for an answer that isn't 200, or 304 where there is a copy.
    func document(at url: String, entityTag: String?) async throws -> FetchedDocument
}

/// What came of a request.
package struct FetchedDocument: Sendable {
    /// `nil` where the copy at hand is still the same (304).
    package let body: [UInt8]?
    package let entityTag: String?
    /// How long it may be kept, by Cache-Control; `nil` where that says nothing.
    package let maxAge: Duration?

    package init(body: [UInt8]?, entityTag: String?, maxAge: Duration?) {
        self.body = body
        self.entityTag = entityTag
        self.maxAge = maxAge
    }
}
