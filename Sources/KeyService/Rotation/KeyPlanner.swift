public import JOSE

/// Decides how a ring changes: a function of what is stored, the settings and an instant. It stores nothing.
public struct KeyPlanner: Sendable {
    public let schedule: KeySchedule
    private let makeKey: @Sendable (Algorithm, Int) throws -> PrivateKey

    /// - Parameter makeKey: makes a key for an algorithm with a number of RSA bits.
    public init(
        schedule: KeySchedule,
        makeKey: @escaping @Sendable (Algorithm, Int) throws -> PrivateKey = { try .generate(for: $0, rsaBits: $1) }
    ) {
        self.schedule = schedule
        self.makeKey = makeKey
    }

    func ring(_ records: [KeyRecord]) -> KeyRing { KeyRing(records, clockLeeway: schedule.clockLeeway) }

    private func newKey(_ algorithm: Algorithm, at now: Instant, activatesAt: Instant, among records: [KeyRecord])
        throws
        -> KeyChange
    {
        let key = try makeKey(algorithm, schedule.rsaBits)
        var activatesAt = activatesAt
        // Two keys never take over at the same instant.
        let taken = Set(records.filter { $0.algorithm == algorithm }.compactMap(\.activatesAt))
        while taken.contains(activatesAt) { activatesAt.microseconds += 1 }
        return .add(
            try KeyRecord(key, algorithm: algorithm, createdAt: now, activatesAt: activatesAt, schedule: schedule), key)
    }

    // MARK: What a server does by itself

    /// What a starting server has to change: a key for each algorithm that has none, the end of those whose algorithm was
    /// removed, and what ``raisePromises(_:at:)`` says.
    ///
    /// The very first keys sign at once. An algorithm that was added later starts pending, and the removed ones sign on
    /// until one of the configured ones does.
    public func start(_ contents: KeyStoreContents, at now: Instant) throws -> [KeyChange] {
        try schedule.check(against: contents.records)
        var changes: [KeyChange] = []
        for algorithm in schedule.algorithms
        where !ring(contents.records).reign(of: algorithm).contains(where: { record in
            [.pending, .active].contains(ring(contents.records).state(of: record, at: now))
        }) {
            let activatesAt = contents.isNew ? now : now + schedule.publishAhead
            changes.append(try newKey(algorithm, at: now, activatesAt: activatesAt, among: contents.records))
        }
        let records = contents.records.applying(changes)
        let firstSigning = ring(records).records
            .filter { schedule.algorithms.contains($0.algorithm) && $0.revokedAt == nil && $0.retiresAt == nil }
            .compactMap(\.activatesAt).min()
        let retiresAt = max(now, firstSigning ?? now)
        for var record in records
        where !schedule.algorithms.contains(record.algorithm) && record.activatesAt != nil && record.retiresAt == nil
            && record.revokedAt == nil
        {
            record.retiresAt = retiresAt
            changes.append(.update(record))
        }
        return changes + raisePromises(contents.records.applying(changes), at: now)
    }

    /// The records that must grow before anything is signed or published with today's settings: the longest token
    /// lifetime of keys that sign or will, the longest time that verifiers keep what is published.
    public func raisePromises(_ records: [KeyRecord], at now: Instant) -> [KeyChange] {
        let ring = ring(records)
        return ring.published(at: now).compactMap { record in
            var raised = record
            raised.longestMaxAge = max(record.longestMaxAge, schedule.jwksMaxAge)
            if [.pending, .active].contains(ring.state(of: record, at: now)), record.activatesAt != nil {
                raised.longestTokenLifetime = max(record.longestTokenLifetime, schedule.tokenLifetime)
            }
            let isSame =
                raised.longestMaxAge == record.longestMaxAge
                && raised.longestTokenLifetime == record.longestTokenLifetime
            return isSame ? nil : .update(raised)
        }
    }

    /// The keys that are due: for each algorithm a successor that takes over `rotate-every` after the newest key did,
    /// published ahead of that.
    public func automaticRotation(_ contents: KeyStoreContents, at now: Instant) throws -> [KeyChange] {
        try schedule.algorithms.compactMap { algorithm in
            try nextRotation(of: algorithm, contents.records, at: now).map {
                try newKey(algorithm, at: now, activatesAt: $0, among: contents.records)
            }
        }
    }

    /// When the successor that is due now takes over; `nil` where none is due.
    private func nextRotation(of algorithm: Algorithm, _ records: [KeyRecord], at now: Instant) -> Instant? {
        guard schedule.rotateEvery > .zero else { return nil }
        // What lies further ahead, by an import or by a clock that was wrong for a while, doesn't put this off.
        let horizon = now + max(schedule.rotateEvery, schedule.publishAhead)
        guard let newest = ring(records).reign(of: algorithm).last(where: { $0.activatesAt! <= horizon }) else {
            return nil
        }
        let due = newest.activatesAt! + schedule.rotateEvery
        guard due <= now + schedule.publishAhead else { return nil }
        return max(due, now + schedule.publishAhead)
    }

    /// Whether ``automaticRotation(_:at:)`` would make a key; it makes none to find out.
    func isRotationDue(_ records: [KeyRecord], at now: Instant) -> Bool {
        schedule.algorithms.contains { nextRotation(of: $0, records, at: now) != nil }
    }

    // MARK: What an operator does

    /// New keys, of every configured algorithm unless one is named.
    ///
    /// - Parameter immediately: they sign at once, and verifiers that cache refuse their tokens until they fetch the JWKS.
    /// - Throws: ``KeyServiceError`` `refused` for an algorithm that isn't configured.
    public func rotation(
        of algorithm: Algorithm?, immediately: Bool, _ contents: KeyStoreContents, at now: Instant
    ) throws -> [KeyChange] {
        try schedule.check(against: contents.records)
        if let algorithm, !schedule.algorithms.contains(algorithm) {
            throw KeyServiceError(
                .refused,
                "\(algorithm) isn't in the setting algorithms "
                    + "(\(schedule.algorithms.map(\.name).joined(separator: ","))): add it there first")
        }
        return try (algorithm.map { [$0] } ?? schedule.algorithms).map { algorithm in
            let activatesAt = immediately || contents.isNew ? now : now + schedule.publishAhead
            return try newKey(algorithm, at: now, activatesAt: activatesAt, among: contents.records)
        }
    }

    /// Takes a key out of the JWKS. If it was signing, its replacement comes first.
    ///
    /// - Throws: ``KeyServiceError`` `refused` for a key that isn't there.
    public func revocation(
        of keyID: KeyID, reason: String, _ contents: KeyStoreContents, at now: Instant
    ) throws -> [KeyChange] {
        let ring = ring(contents.records)
        guard var record = ring.record(keyID) else {
            throw KeyServiceError(.refused, "there is no key \(keyID): keys list shows those there are")
        }
        guard record.revokedAt == nil else { return [] }
        var changes: [KeyChange] = []
        if ring.state(of: record, at: now) == .active {
            // An instant later than the revoked key's own, whatever the clock says.
            changes.append(try newKey(record.algorithm, at: now, activatesAt: now, among: contents.records))
        }
        record.revokedAt = now
        record.revocationReason = reason
        return changes + [.update(record)]
    }

    /// Takes in a private key, pending until `activateAt`, or for `publish-ahead`.
    ///
    /// - Throws: ``KeyServiceError`` `refused` for a key that is there already or was revoked, an algorithm that isn't
    ///   configured, and an instant by which verifiers may not have seen the key.
    public func importing(
        _ jwk: JWK, activateAt: Instant?, _ contents: KeyStoreContents, at now: Instant
    ) throws -> KeyChange {
        try schedule.check(against: contents.records)
        guard let key = jwk.privateKey else {
            throw KeyServiceError(
                .refused, "this is a public key: to publish it for the tokens of another system, use --verify-only")
        }
        try refuseKnown(thumbprint: jwk.publicKey.thumbprint(), keyID: nil, contents.records)
        guard let algorithm = jwk.algorithms.first(where: schedule.algorithms.contains) else {
            throw KeyServiceError(
                .refused,
                "this is a key for \(jwk.algorithms.map(\.name).joined(separator: ", ")), which the setting algorithms "
                    + "(\(schedule.algorithms.map(\.name).joined(separator: ","))) doesn't have")
        }
        let earliest = contents.isNew ? now : now + schedule.timeToBeSeen(contents.records)
        if let activateAt, activateAt < earliest {
            throw KeyServiceError(
                .refused,
                "verifiers that cache the JWKS may not have seen the key by then: use --activate-at \(earliest) or later"
            )
        }
        var record = try KeyRecord(
            key, algorithm: algorithm, createdAt: now, activatesAt: activateAt ?? now + schedule.publishAhead,
            schedule: schedule)
        if contents.records.contains(where: { $0.algorithm == algorithm && $0.activatesAt == record.activatesAt }) {
            record = try KeyRecord(
                key, algorithm: algorithm, createdAt: now, activatesAt: record.activatesAt! + .microseconds(1),
                schedule: schedule)
        }
        return .add(record, key)
    }

    /// Takes in a public key of another system, so that its tokens stay good until they have expired.
    ///
    /// - Parameter keyID: the `kid` that those tokens name; the JWK's own or the thumbprint otherwise.
    public func importingVerifyOnly(
        _ jwk: JWK, keyID: KeyID?, until: Instant, _ contents: KeyStoreContents, at now: Instant
    ) throws -> KeyChange {
        guard until > now else { throw KeyServiceError(.refused, "--until \(until) is past") }
        let keyID = keyID ?? jwk.keyID
        try refuseKnown(thumbprint: jwk.publicKey.thumbprint(), keyID: keyID, contents.records)
        return .add(
            try KeyRecord(
                verifyOnly: jwk.publicKey, keyID: keyID, algorithm: jwk.algorithms[0], createdAt: now, until: until,
                schedule: schedule), nil)
    }

    private func refuseKnown(thumbprint: KeyID, keyID: KeyID?, _ records: [KeyRecord]) throws {
        if let known = records.first(where: { $0.thumbprint == thumbprint }) {
            throw KeyServiceError(
                .refused,
                known.revokedAt.map { "this key was revoked at \($0), and stays so" }
                    ?? "the key \(known.keyID) is there already")
        }
        if let keyID, records.contains(where: { $0.keyID == keyID }) {
            throw KeyServiceError(.refused, "there is another key with the kid \(keyID)")
        }
    }

    /// Erases private halves that can no longer sign, and forgets keys past their expiry; revoked ones are kept for ever.
    public func pruning(_ contents: KeyStoreContents, at now: Instant) -> [KeyChange] {
        let ring = ring(contents.records)
        let erased = contents.records.filter { record in
            record.hasPrivateKey && [.retired, .expired, .revoked].contains(ring.state(of: record, at: now))
        }
        // Of keys that signed only the oldest go: a younger one marks the end of those before it.
        let signed = Dictionary(grouping: contents.records, by: \.algorithm).keys.flatMap { algorithm in
            ring.reign(of: algorithm).filter { $0.revokedAt == nil }
                .prefix { ring.state(of: $0, at: now) == .expired }
        }
        let neverSigned = contents.records.filter { record in
            ring.state(of: record, at: now) == .expired
                && !ring.reign(of: record.algorithm).contains { $0.keyID == record.keyID }
        }
        return erased.map { .erasePrivateKey($0) } + (signed + neverSigned).map { .remove($0) }
    }
}
