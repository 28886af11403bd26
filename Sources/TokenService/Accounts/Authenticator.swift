internal import JOSE

/// Checks names and passwords for the HTTP routes: as often as is allowed, in one time for every failure, with a record of
/// each.
struct Authenticator: Sendable {
    let users: UserStore
    let hasher: PasswordHasher
    let limiter: LogInLimiter
    let decoys: Decoys
    let audit: AuditLog
    let now: @Sendable () -> Instant

    /// The user whose name and password these are; `nil` for a wrong name, a wrong, empty or unusable password and a
    /// disabled user, after the same work.
    ///
    /// - Throws: ``LogInLimiter/Exceeded``, ``PasswordHasher/Overloaded``.
    func authenticate(name: String, password: String, from address: IPAddress?) async throws -> User? {
        let prepared = Precis.userName(name)
        let attempt = try await limiter.begin(name: prepared ?? name, from: address, at: now())
        defer { limiter.end(attempt) }
        let pivot = try decoys.pivot(for: prepared ?? name)
        let (user, decoy) = try await users.user(named: prepared, orDecoyFrom: pivot)
        guard try await isPassword(password, of: user, decoy: decoy), let user, user.disabledAt == nil else {
            let record = AuditRecord(
                .logIn, .refused, by: .user(nil, address: address?.description), subject: user?.id, at: now())
            try await limiter.fail(attempt, audit: record, at: now())
            audit.tell(record)
            return nil
        }
        if let password = Precis.password(password), hasher.shouldRehash(user.passwordHash, of: password) {
            // Where that can't be done now, the next log-in does it.
            if let hash = try? await hasher.hash(password) { try? await users.rehash(user, passwordHash: hash) }
        }
        return user
    }

    private func isPassword(_ password: String, of user: User?, decoy: String? = nil) async throws -> Bool {
        let prepared = Precis.password(password)
        // What can't be a password is hashed all the same.
        let matches = try await hasher.verify(prepared ?? "unusable", hash: user?.passwordHash, decoy: decoy)
        return matches && prepared != nil
    }

    /// How a change of one's own password ended.
    enum PasswordChange {
        case done(SessionStore.Ending), wrongPassword, unusablePassword
    }

    /// Changes a user's password and ends their other sessions.
    ///
    /// - Throws: as ``authenticate(name:password:from:)``.
    func changePassword(
        userID: String, current: String, new: String, sparing session: String, from address: IPAddress?
    ) async throws -> PasswordChange {
        let user = try await users.user(id: userID)
        let attempt = try await limiter.begin(name: user?.name ?? userID, from: address, at: now())
        defer { limiter.end(attempt) }
        let actor = AuditActor.user(userID, address: address?.description)
        func record(_ outcome: AuditRecord.Outcome) -> AuditRecord {
            AuditRecord(.passwordChanged, outcome, by: actor, subject: userID, session: session, at: now())
        }
        guard try await isPassword(current, of: user), let user, user.disabledAt == nil else {
            let refusal = record(.refused)
            try await limiter.fail(attempt, audit: refusal, at: now())
            audit.tell(refusal)
            return .wrongPassword
        }
        guard let new = Precis.password(new) else { return .unusablePassword }
        let ending = try await users.setPassword(
            id: userID, passwordHash: hasher.hash(new), ifVersion: user.credentialVersion, sparing: session,
            audit: record(.success), at: now())
        return ending.map { .done($0) } ?? .wrongPassword
    }
}
