internal import Foundation
public import KeyService
public import Logging
public import Storage

/// The files that belong to a service: the master secret, the keys and the database.
public struct Installation: Sendable {
    private let settings: Settings
    private let logger: Logger

    public init(settings: Settings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    /// Reads the master secret. Where neither it nor any key is there yet, it makes one.
    ///
    /// - Throws: ``KeyServiceError`` `masterSecret`.
    public func masterSecret() throws -> MasterSecret {
        let path = settings.masterSecretFile
        if access(path, F_OK) != 0 {
            guard !FolderKeyStore.hasKeys(path: settings.keys) else {
                throw KeyServiceError(
                    .masterSecret,
                    "master-secret-file: \(path) isn't there, but the folder \(settings.keys) has keys that only it opens: "
                        + "put it back, or name it")
            }
            if try MasterSecret.create(file: path) {
                logger.notice("made the master secret: keep a copy in a safe place", metadata: ["file": "\(path)"])
            }
        }
        let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        if let mode, mode & 0o077 != 0 {
            logger.warning("the master secret can be read by others: chmod 600 it", metadata: ["file": "\(path)"])
        }
        return try MasterSecret(file: path)
    }

    /// Opens the key store.
    public func keyStore(secret: MasterSecret) throws -> any KeyStore {
        try FolderKeyStore(path: settings.keys, secret: secret)
    }

    /// Opens the database and brings its tables up to date.
    ///
    /// - Throws: ``StorageError``.
    public func database() async throws -> any Database {
        let database = try settings.database.open()
        try await database.migrate(Schema.migrations)
        return database
    }
}
