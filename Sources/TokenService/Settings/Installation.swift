internal import Foundation
public import JOSE
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

    /// Reads the master secret.
    ///
    /// - Parameter creating: whether to make one where neither it nor any key is there yet.
    /// - Throws: ``KeyServiceError`` `masterSecret`.
    public func masterSecret(creating: Bool) throws -> MasterSecret {
        let path = settings.masterSecretFile
        if access(path, F_OK) != 0 {
            guard settings.keyFolder != nil else {
                throw KeyServiceError(
                    .masterSecret,
                    "master-secret-file: \(path) isn't there, and keys in the database need the one that every node has: "
                        + "bring it here, or make the first with: (umask 077; openssl rand -hex 32 > \(path))")
            }
            guard !FolderKeyStore.hasKeys(path: settings.keys) else {
                throw KeyServiceError(
                    .masterSecret,
                    "master-secret-file: \(path) isn't there, but the folder \(settings.keys) has keys that only it opens: "
                        + "put it back, or name it")
            }
            guard creating else {
                throw KeyServiceError(
                    .masterSecret,
                    "master-secret-file: there is neither \(path) nor a key in the folder \(settings.keys): run this where "
                        + "the service runs, or name them; token-service serve makes them on its first start")
            }
            if try MasterSecret.create(file: path) {
                logger.notice("made the master secret: keep a copy in a safe place", metadata: ["file": "\(path)"])
            }
        }
        let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        // A group may be how it comes to the service, as Kubernetes' fsGroup is.
        if let mode, mode & 0o027 != 0 {
            logger.warning("the master secret can be read by others: chmod 600 it", metadata: ["file": "\(path)"])
        }
        return try MasterSecret(file: path)
    }

    /// Opens the key store.
    ///
    /// - Parameters:
    ///   - place: another place than the setting's: a folder, or `database`.
    ///   - creating: whether to make the folder where it isn't there yet.
    ///   - database: the one that is open, for keys that are in it; `nil` to open it.
    /// - Throws: ``KeyServiceError``, also where there are keys and the secret opens none.
    public func keyStore(
        secret: MasterSecret, at place: String? = nil, creating: Bool = false, in database: (any Database)? = nil
    ) async throws -> any KeyStore {
        let store: any KeyStore
        if let folder = Settings.keyFolder(place ?? settings.keys) {
            store = try FolderKeyStore(path: folder, secret: secret, creating: creating)
        } else {
            let database = if let database { database } else { try await self.database(creating: false) }
            store = try DatabaseKeyStore(database: database, secret: secret)
        }
        _ = try await store.contents()
        return store
    }

    /// Whether keys rest in a folder, and it has none or isn't there: it is the first start, or something is missing.
    public var hasEmptyKeyFolder: Bool {
        guard let folder = settings.keyFolder, !FolderKeyStore.hasKeys(path: folder) else { return false }
        return access(folder, R_OK | X_OK) == 0 || errno == ENOENT
    }

    /// Refuses to make first keys where the database knows of others.
    ///
    /// - Parameter database: with its tables up to date.
    /// - Throws: ``KeyServiceError`` `keysMissing`.
    public func refuseToBegin(over database: any Database) async throws {
        try await KnownKeys(database: database).refuseToBegin(at: "the key folder \(settings.keys)")
    }

    /// Warns where the clock stands well before what the database has: tokens would have expired when they are signed.
    ///
    /// - Parameters:
    ///   - database: with its tables up to date.
    ///   - now: what the clock says.
    public func checkClock(_ database: any Database, at now: Instant) async {
        let newest = try? await database.read { connection in
            let row = try connection.query(
                """
                SELECT MAX(time) AS time FROM
                (SELECT MAX(time) AS time FROM audit UNION ALL SELECT MAX(created_at) FROM known_keys) AS times
                """)[0]
            return try row.optionalInteger("time").map(Instant.init(microseconds:))
        }
        guard let newest, newest > now + Self.tolerance else { return }
        logger.warning(
            """
            the clock of this machine says \(now), but the newest record of the database is from \(newest): \
            set the clock (timedatectl), unless it was ahead then
            """)
    }

    /// How far the clock may be behind the newest record without a warning.
    private static let tolerance = Duration.seconds(3600)

    /// Opens the database and brings its tables up to date.
    ///
    /// - Parameter creating: whether to make one where there is none yet.
    /// - Throws: ``StorageError``.
    public func database(creating: Bool) async throws -> any Database {
        let database = try settings.database.open(creating: creating, options: settings.databaseOptions)
        if try await database.migrate(Schema.migrations) == 0 {
            logger.notice("made the tables of the database", metadata: ["database": "\(settings.database)"])
        }
        return database
    }
}
