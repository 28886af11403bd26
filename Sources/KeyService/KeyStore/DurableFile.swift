internal import Foundation
internal import JOSE

/// Files that are either written whole or not there, and stay written when the power goes.
enum DurableFile {
    /// The start of the names of unfinished files.
    static let temporaryPrefix = ".unfinished-"

    /// Writes a file readable by its owner only, in place of one that is there: to a temporary file, synced, renamed.
    static func replace(_ path: String, contents: [UInt8]) throws {
        let temporary = try writeTemporary(beside: path, contents: contents)
        guard rename(temporary, path) == 0 else {
            let error = failure("rename to", path)
            unlink(temporary)
            throw error
        }
        try syncFolder(of: path)
    }

    /// Writes a file where there is none.
    ///
    /// - Returns: whether it wrote it.
    static func create(_ path: String, contents: [UInt8]) throws -> Bool {
        let temporary = try writeTemporary(beside: path, contents: contents)
        defer { unlink(temporary) }
        guard link(temporary, path) == 0 else {
            if errno == EEXIST { return false }
            throw failure("write", path)
        }
        try syncFolder(of: path)
        return true
    }

    static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
        try syncFolder(of: path)
    }

    private static func writeTemporary(beside path: String, contents: [UInt8]) throws -> String {
        let folder = (path as NSString).deletingLastPathComponent
        let temporary = (folder.isEmpty ? "." : folder) + "/" + temporaryPrefix + Base64URL.encode(try randomBytes(9))
        let file = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("write", path) }
        defer { close(file) }
        do {
            var written = 0
            while written < contents.count {
                let count = contents[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
                guard count > 0 || errno == EINTR else { throw failure("write", path) }
                written += max(count, 0)
            }
            guard fsync(file) == 0 else { throw failure("sync", path) }
        } catch {
            unlink(temporary)
            throw error
        }
        return temporary
    }

    /// Makes the name of a file or a folder stay when the power goes.
    static func syncFolder(of path: String) throws {
        let name = (path as NSString).deletingLastPathComponent
        let folder = open(name.isEmpty ? "." : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("sync the folder of", path) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync the folder of", path) }
    }

    static func failure(_ action: String, _ path: String) -> KeyServiceError {
        let remedy =
            switch errno {
            case ENOSPC, EDQUOT: ": make room"
            case EACCES, EPERM: ": give the user that this runs as the right to"
            case EROFS: ": mount it so that it can be written"
            default: ""
            }
        return KeyServiceError(.storage, "can't \(action) \(path): \(String(cString: strerror(errno)))\(remedy)")
    }
}
