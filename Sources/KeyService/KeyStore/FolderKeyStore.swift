internal import Dispatch
internal import Foundation
public import JOSE

/// A folder of keys, one file each: `KID.pem`, in a folder that only its owner enters.
///
/// Processes take turns through a lock on the file `.lock`; reading needs none, since files are replaced whole.
public final class FolderKeyStore: KeyStore {
    private let path: String
    private let sealer: KeySealer
    /// Where the disk is waited for.
    private let queue = DispatchQueue(label: "keys")

    /// Opens the folder; the first change closes it to others.
    ///
    /// - Parameters:
    ///   - path: of the folder.
    ///   - secret: what the private keys are encrypted under.
    ///   - creating: whether to make it where it isn't there yet.
    /// - Throws: ``KeyServiceError`` `storage`, `badSettings` where it isn't there.
    public init(path: String, secret: MasterSecret, creating: Bool = true) throws {
        self.path = path
        sealer = try KeySealer(secret)
        if !creating {
            guard access(path, F_OK) == 0 || errno != ENOENT else {
                throw KeyServiceError(
                    .badSettings,
                    "the setting keys names the folder \(path), which isn't there: run this where the service runs, "
                        + "mount the folder, or name the right one")
            }
        } else if mkdir(path, 0o700) == 0 {
            try DurableFile.syncFolder(of: path)
        } else if errno != EEXIST {
            throw DurableFile.failure("make the folder", path)
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw DurableFile.failure("read the folder", path) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw KeyServiceError(.storage, "the setting keys names \(path), which isn't a folder")
        }
    }

    /// Whether a folder holds any key file, without opening one.
    public static func hasKeys(path: String) -> Bool {
        (try? FileManager.default.contentsOfDirectory(atPath: path))?.contains { $0.hasSuffix(fileSuffix) } ?? false
    }

    private static let fileSuffix = ".pem"
    /// There while the very first keys are being written: until it goes, nobody was told of any.
    private static let firstKeysMark = ".first-keys"
    /// How long to wait for another process, which at most makes a few RSA keys.
    private static let lockTimeout: TimeInterval = 60

    // MARK: KeyStore

    public var place: String { "the key folder \(path)" }

    public func contents() async throws -> KeyStoreContents { try await onQueue { try $0.load() } }

    public func privateKey(of record: KeyRecord) async throws -> PrivateKey {
        try await onQueue { store in
            let name = store.fileName(record)
            return try store.sealer.open(store.read(name), name: store.file(name))
        }
    }

    public func change<Result: Sendable>(
        _ decide: @escaping @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Result)
    ) async throws -> Result {
        try await onQueue { store in
            try store.withLock {
                let contents = try store.load()
                let (changes, result) = try decide(contents)
                guard !changes.isEmpty || contents.isNew else { return result }
                let mark = store.file(Self.firstKeysMark)
                if contents.isNew { try DurableFile.replace(mark, contents: []) }
                for change in changes { try store.apply(change) }
                if contents.isNew { try DurableFile.remove(mark) }
                return result
            }
        }
    }

    public func version() async throws -> KeyStoreVersion {
        try await onQueue { store in
            KeyStoreVersion(
                parts: try store.fileNames().map { "\($0) \(FileStamp(path: store.file($0)).text)" })
        }
    }

    public func reencrypt() async throws -> Int {
        try await onQueue { store in
            try store.withLock {
                var count = 0
                var damaged: [DamagedKey] = []
                for name in try store.fileNames() {
                    do {
                        let file = try store.sealer.reseal(store.read(name), name: store.file(name))
                        try store.write(file)
                        count += file.record.hasPrivateKey ? 1 : 0
                    } catch {
                        damaged.append(DamagedKey(name: store.file(name), reason: "\(error)"))
                    }
                }
                guard damaged.isEmpty else { throw KeyServiceError(reencrypted: count, damaged: damaged) }
                return count
            }
        }
    }

    public func texts() async throws -> [String] {
        try await onQueue { store in
            try store.withLock {
                let contents = try store.load()
                if let damaged = contents.damaged.first {
                    throw KeyServiceError(.storage, "mend it or move it away first: \(damaged)")
                }
                return try store.fileNames().map { try store.sealer.text(store.read($0)) }
            }
        }
    }

    public func adopt(_ texts: [String]) async throws {
        try await onQueue { store in
            try store.withLock {
                let mark = store.file(Self.firstKeysMark)
                // What a copy that was killed left was told to nobody.
                if access(mark, F_OK) == 0 {
                    for name in try store.fileNames() { try DurableFile.remove(store.file(name)) }
                }
                guard try store.fileNames().isEmpty else {
                    throw KeyServiceError(
                        .refused, "the key folder \(store.path) has keys already; nothing was copied")
                }
                try DurableFile.replace(mark, contents: [])
                for text in texts { try store.write(store.sealer.read(text)) }
                try DurableFile.remove(mark)
            }
        }
    }

    // MARK: Files

    private func onQueue<Result: Sendable>(
        _ body: @escaping @Sendable (FolderKeyStore) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body(self) }) }
        }
    }

    private func file(_ name: String) -> String { path + "/" + name }

    /// Named by the thumbprint: a `kid` of another system may not be a file name.
    private func fileName(_ record: KeyRecord) -> String { record.thumbprint.rawValue + Self.fileSuffix }

    private func fileNames() throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(Self.fileSuffix) }
                .sorted()
        } catch {
            throw KeyServiceError(.storage, "can't read the key folder \(path): \(error.localizedDescription)")
        }
    }

    private func load() throws -> KeyStoreContents {
        var names = try fileNames()
        while true {
            let contents = load(names)
            let namesAfter = try fileNames()
            // Else it might hold a revocation without the replacement that was stored just before.
            guard namesAfter == names else {
                names = namesAfter
                continue
            }
            if contents.records.isEmpty, let damaged = contents.damaged.first {
                throw KeyServiceError(
                    .masterSecret,
                    "no key in the folder \(path) can be read: is this the right master-secret-file? \(damaged)")
            }
            return contents
        }
    }

    private func load(_ names: [String]) -> KeyStoreContents {
        var records: [KeyRecord] = []
        var damaged: [DamagedKey] = []
        for name in names {
            do {
                records.append(try read(name).record)
            } catch {
                // A file that was pruned since the folder was listed isn't damaged.
                if access(file(name), F_OK) != 0, errno == ENOENT { continue }
                damaged.append(DamagedKey(name: file(name), reason: "\(error)"))
            }
        }
        let isNew = records.isEmpty || access(file(Self.firstKeysMark), F_OK) == 0
        return KeyStoreContents(records: records, damaged: damaged, isNew: isNew)
    }

    private func read(_ name: String) throws -> KeyFile {
        guard let data = FileManager.default.contents(atPath: file(name)) else {
            throw DurableFile.failure("read", file(name))
        }
        guard let text = String(data: data, encoding: .utf8) else { throw JOSEError(.malformed, "not a text file") }
        let keyFile = try sealer.read(text)
        guard fileName(keyFile.record) == name else { throw JOSEError(.malformed, "a file under another key's name") }
        return keyFile
    }

    private func write(_ keyFile: KeyFile) throws {
        let text = try sealer.text(keyFile)
        try DurableFile.replace(file(fileName(keyFile.record)), contents: Array(text.utf8))
    }

    private func apply(_ change: KeyChange) throws {
        switch change {
        case .add(let record, let key):
            let text = try sealer.text(sealer.seal(record, key))
            let path = file(fileName(record))
            guard try DurableFile.create(path, contents: Array(text.utf8)) else {
                throw KeyServiceError(.storage, "\(path) can't be read, and isn't overwritten: mend it or move it away")
            }
        case .update(let record):
            try write(KeyFile(record: record, pem: read(fileName(record)).pem))
        case .erasePrivateKey(let record):
            try write(sealer.seal(record, nil))
        case .remove(let record):
            try DurableFile.remove(file(fileName(record)))
        }
    }

    /// Closes the folder to others, unless it holds what isn't ours: it may be a folder that others need.
    private func closeToOthers() throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw DurableFile.failure("read the folder", path) }
        guard status.st_mode & 0o077 != 0 else { return }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard names.allSatisfy({ $0.hasPrefix(".") || $0 == "README.md" || $0.hasSuffix(Self.fileSuffix) }) else {
            throw KeyServiceError(
                .storage,
                "the key folder \(path) is open to others and holds other files: chmod 700 it, or name another folder")
        }
        guard chmod(path, 0o700) == 0 else { throw DurableFile.failure("close to others", path) }
    }

    /// Runs `body` while no other process changes the folder, after clearing away what a killed one left.
    private func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        try closeToOthers()
        let lock = open(file(".lock"), O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw DurableFile.failure("write to the key folder", path) }
        defer { close(lock) }
        let deadline = Date(timeIntervalSinceNow: Self.lockTimeout)
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw DurableFile.failure("lock", path) }
            guard Date() < deadline else {
                throw KeyServiceError(.storage, "another process has been changing the key folder \(path) for a minute")
            }
            usleep(5000)
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        where name.hasPrefix(DurableFile.temporaryPrefix) {
            unlink(file(name))
        }
        return try body()
    }
}
