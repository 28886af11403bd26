extension TokenServiceCommand {
    /// What `token-service --version` prints. scripts/package takes the package's version from it.
    static let version = "0.9.0"
}
