public import JOSE
internal import Storage

/// What operators do with users. Each change is recorded in the audit log.
public struct Accounts: Sendable {
    public let users: UserStore
    private let hasher: PasswordHasher
    let actor: AuditActor
    let now: @Sendable () -> Instant

    public init(
        users: UserStore, hasher: PasswordHasher, actor: AuditActor, now: @escaping @Sendable () -> Instant
    ) {
        self.users = users
        self.hasher = hasher
        self.actor = actor
        self.now = now
    }

    /// Adds a user.
    ///
    /// - Throws: ``ServiceError``.
    public func add(name: String, credential: Credential, claims: JSONObject, scopes: [String]) async throws -> User {
        guard let prepared = Precis.userName(name) else {
            throw ServiceError(
                .usage, "\"\(name)\" can't be a user name: \(Precis.nameRule)")
        }
        do {
            return try await users.add(
                name: prepared, passwordHash: hash(credential), claims: claims, scopes: scopes, by: actor, at: now())
        } catch let error as StorageError where error.code == .alreadyThere {
            throw ServiceError(
                .failed, "there is a user \(prepared) already; users set-password and set-claims change one")
        }
    }

    /// Sets another password and ends the user's sessions.
    public func setPassword(of user: User, _ credential: Credential) async throws {
        let hash = try await hash(credential)
        let record = AuditRecord(.passwordSet, by: actor, subject: user.id, at: now())
        guard try await users.setPassword(id: user.id, passwordHash: hash, audit: record, at: now()) != nil else {
            throw ServiceError(.failed, "the user \(user.name) is gone")
        }
    }

    /// Sets some claims and removes others.
    public func setClaims(of user: User, _ claims: JSONObject, removing names: [String]) async throws -> User {
        try await users.setClaims(of: user, claims, removing: names, by: actor, at: now())
    }

    /// Stops a user from logging in and ends their sessions, or lets them in again.
    public func setDisabled(_ user: User, _ isDisabled: Bool) async throws {
        try await users.setDisabled(id: user.id, isDisabled, by: actor, at: now())
    }

    /// Forgets a user and ends their sessions.
    public func remove(_ user: User) async throws { try await users.remove(id: user.id, by: actor, at: now()) }

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
            do {
                return try PasswordHash(text).text
            } catch {
                throw ServiceError(.usage, error.advice)
            }
        }
    }
}
