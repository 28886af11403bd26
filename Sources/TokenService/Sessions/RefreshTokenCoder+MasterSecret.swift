internal import KeyService

extension RefreshTokenCoder {
    /// Writes under the current line of the master secret, and reads what any line wrote.
    init(secret: MasterSecret) throws { self.init(keys: try secret.keys(for: "refresh token v1")) }
}
