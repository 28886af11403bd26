/// How far an import has got.
public enum ImportProgress: Sendable {
    /// So many bytes of the file were read and checked.
    case checking(bytes: Int)
    case storing(users: Int, of: Int)
}

extension Accounts {
    /// Adds the users of a file, all of them or none: NDJSON or CSV, as ``exportUsers(as:write:)`` writes it.
    ///
    /// - Parameters:
    ///   - file: its name, for errors.
    ///   - read: the next bytes of it, none at the end.
    ///   - progress: called now and then.
    /// - Returns: how many.
    /// - Throws: ``ServiceError``, which names the line.
    public func importUsers(
        from file: String, read: @escaping () throws -> [UInt8],
        progress: @escaping @Sendable (ImportProgress) -> Void
    ) async throws -> Int {
        do {
            let imported = try Self.check(read, progress: progress)
            let count = imported.count
            try await users.add(imported, by: actor, at: now()) { progress(.storing(users: $0, of: count)) }
            return count
        } catch let problem as UserFileProblem {
            throw problem.error(in: file)
        }
    }

    private static func check(
        _ read: @escaping () throws -> [UInt8], progress: (ImportProgress) -> Void
    ) throws -> [ImportedUser] {
        var reader = try UserFileReader(read)
        var imported: [ImportedUser] = []
        // By their bytes, which is much faster than Swift's equality of texts.
        var lines: [[UInt8]: Int] = [:]
        while let user = try reader.next() {
            if let line = lines.updateValue(user.line, forKey: Array(user.name.utf8)) {
                throw UserFileProblem(
                    line: user.line, "the name \(user.name) is there twice (lines \(line) and \(user.line)); leave one")
            }
            imported.append(user)
            if imported.count % 256 == 0 { progress(.checking(bytes: reader.byteCount)) }
        }
        return imported
    }

    /// Writes all users in the order of their names, some at a time, and records that in the audit log first. Each is as
    /// they are at one instant; a change meanwhile may be in it or not.
    ///
    /// - Parameter write: takes some more bytes.
    public func exportUsers(as format: UserFileFormat, write: ([UInt8]) throws -> Void) async throws {
        try await users.recordExport(by: actor, at: now())
        try write(format.heading)
        var page = try await users.users(after: "", limit: Self.pageSize)
        while let last = page.last {
            try write(page.flatMap(format.line))
            page = try await users.users(after: last.name, limit: Self.pageSize)
        }
    }

    private static let pageSize = 1000
}
