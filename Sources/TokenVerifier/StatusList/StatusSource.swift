internal import Foundation
public import JOSE

/// A place in a status list, as the `status` claim of a token names it (Token Status List draft, section 6.2).
public struct StatusListReference: Hashable, Sendable {
    /// The URL of the list.
    public let uri: String
    /// The place in it, from 0.
    public let index: Int

    /// A place in a list.
    public init(uri: String, index: Int) {
        self.uri = uri
        self.index = index
    }

    /// Reads the `status` claim.
    ///
    /// - Returns: `nil` for a claim without a place in a list.
    public init?(claim: JSONValue?) {
        guard let reference = claim?.object?["status_list"]?.object, let uri = reference["uri"]?.string,
            let index = reference["idx"]?.integer, index >= 0
        else { return nil }
        self.init(uri: uri, index: Int(index))
    }
}

/// Where a verifier learns the status of tokens.
public protocol StatusSource: Sendable {
    /// The status of a token: 0 for a valid one; `nil` for a place that doesn't exist.
    ///
    /// - Throws: ``VerifierUnavailable`` where it can't be told.
    func status(at reference: StatusListReference) async throws -> UInt8?
}
