public import JOSE
internal import Storage

/// What users do with their accounts, and operators with users.
public struct Accounts: Sendable {
    public let users: UserStore
    private let hasher: PasswordHasher
    private let now: @Sendable () -> Instant

    public init(users: UserStore, hasher: PasswordHasher, now: @escaping @Sendable () -> Instant) {
        self.users = users
        self.hasher = hasher
        self.now = now
    }

    /// The user whose name and password these are; `nil` for a wrong name, a wrong, empty or unusable password and a
    /// disabled user, after the same work.
    func authenticate(name: String, password: String) async throws -> User? {
        let user = if let name = Precis.userName(name) { try await users.user(named: name) } else { User?.none }
        guard try await isPassword(password, of: user), let user, user.disabledAt == nil else { return nil }
        if hasher.shouldRehash(user.passwordHash), let password = Precis.password(password) {
            // Where there is no time for it now, the next log-in does it.
            if let hash = try? await hasher.hash(password) { try await users.rehash(user, passwordHash: hash) }
        }
        return user
    }

    private func isPassword(_ password: String, of user: User?) async throws -> Bool {
        let prepared = Precis.password(password)
        // What can't be a password is hashed all the same.
        let matches = try await hasher.verify(prepared ?? "unusable", hash: user?.passwordHash)
        return matches && prepared != nil
    }

    /// How a change of one's own password ended.
    enum PasswordChange {
        case done, wrongPassword, unusablePassword
    }

    /// Changes a user's password and ends their other sessions.
    func changePassword(userID: String, current: String, new: String, sparing session: String?) async throws
        -> PasswordChange
    {
        let user = try await users.user(id: userID)
        guard try await isPassword(current, of: user), let user, user.disabledAt == nil else { return .wrongPassword }
        guard let new = Precis.password(new) else { return .unusablePassword }
        let done = try await users.setPassword(
            id: userID, passwordHash: hasher.hash(new), ifVersion: user.credentialVersion, sparing: session, at: now())
        return done ? .done : .wrongPassword
    }

    // MARK: For operators

    /// Adds a user.
    ///
    /// - Throws: ``ServiceError``.
    public func add(name: String, credential: Credential, claims: JSONObject, scopes: [String]) async throws -> User {
        guard let prepared = Precis.userName(name) else {
            throw ServiceError(
                .usage,
                "\"\(name)\" can't be a user name: letters, digits and printable ASCII without spaces, at most 1024 bytes"
            )
        }
        do {
            return try await users.add(
                name: prepared, passwordHash: hash(credential), claims: claims, scopes: scopes, at: now())
        } catch let error as StorageError where error.code == .alreadyThere {
            throw ServiceError(
                .failed, "there is a user \(prepared) already; users set-password and set-claims change one")
        }
    }

    /// Sets another password and ends the user's sessions.
    public func setPassword(of user: User, _ credential: Credential) async throws {
        guard try await users.setPassword(id: user.id, passwordHash: hash(credential), at: now()) else {
            throw ServiceError(.failed, "the user \(user.name) is gone")
        }
    }

    /// The user with a name, or an error that says there is none.
    public func find(_ name: String) async throws -> User {
        guard let prepared = Precis.userName(name), let user = try await users.user(named: prepared) else {
            throw ServiceError(.failed, "there is no user \(name); users list shows those there are")
        }
        return user
    }

    /// A password, or the hash of one.
    public enum Credential: Sendable {
        case password(String)
        case hash(String)
    }

    private func hash(_ credential: Credential) async throws -> String {
        switch credential {
        case .password(let text):
            guard let password = Precis.password(text) else {
                throw ServiceError(.usage, "the password is empty, longer than 1024 bytes or has control characters")
            }
            return try await hasher.hash(password)
        case .hash(let text):
            // Only Argon2 itself can say whether it reads salt and hash.
            guard let hash = PasswordHash(phc: text), (try? hash.matches("")) != nil else {
                throw ServiceError(
                    .usage,
                    "not a hash that is taken: $argon2id$v=19$m=…,t=…,p=…$salt$hash, with at most 1 GiB of memory")
            }
            return hash.text
        }
    }
}
