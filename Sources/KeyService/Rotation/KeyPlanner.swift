public import JOSE

/// Decides how a ring changes: a function of what is stored, the settings and an instant. It stores nothing.
public struct KeyPlanner: Sendable {
    /// The settings that it decides by.
    public let schedule: KeySchedule
    private let makeKey: @Sendable (Algorithm, Int) throws -> PrivateKey

    /// A planner for some settings.
    ///
    /// - Parameters:
    ///   - schedule: the settings.
    ///   - makeKey: makes a key for an algorithm with a number of RSA bits.
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
        return .add(
            try KeyRecord(
                key, algorithm: algorithm, createdAt: now,
                activatesAt: freeInstant(for: algorithm, from: activatesAt, among: records), schedule: schedule), key)
    }

    /// An instant that is past by clocks that are behind, too: where no other key signs, theirs can't wait.
    private func onEveryClock(_ now: Instant) -> Instant { now - schedule.clockLeeway }

    /// Two keys never take over at the same instant.
    private func freeInstant(for algorithm: Algorithm, from instant: Instant, among records: [KeyRecord]) -> Instant {
        let taken = Set(records.filter { $0.algorithm == algorithm }.compactMap(\.activatesAt))
        var instant = instant
        while taken.contains(instant) { instant.microseconds += 1 }
        return instant
    }

    // MARK: What a server does by itself

    /// What a starting server has to change: a key for each algorithm that has none, the end of those whose algorithm was
    /// removed, and what ``raisePromises(_:at:)`` says.
    ///
    /// The very first keys sign at once. An algorithm that was added later starts pending, and the removed ones sign on
    /// until one of the configured ones does.
    ///
    /// - Throws: ``KeyServiceError``, also `keysMissing` where these would be the first, but others are known.
    public func start(
        _ contents: KeyStoreContents, known: [KeyID: KnownKeys.Key] = [:], in place: String = "", at now: Instant
    ) throws -> [KeyChange] {
        try schedule.check(against: contents.records)
        // Where no key has signed yet (some were imported before the first start, or the clock was ahead then), waiting
        // would only leave the service without a key.
        let isFirst =
            contents.isNew
            || contents.records.allSatisfy { $0.activatesAt.map { $0 > now + schedule.clockLeeway } ?? true }
        let needed: [KeyState] = isFirst ? [.active] : [.pending, .active]
        var changes: [KeyChange] = []
        for algorithm in schedule.algorithms
        where !isServed(algorithm, by: contents.records, in: needed, at: now) {
            if isFirst, !contents.records.contains(where: { known[$0.keyID] != nil }),
                let error = KeyServiceError(missing: known, at: place)
            {
                throw error
            }
            let activatesAt = isFirst ? onEveryClock(now) : now + schedule.publishAhead
            changes.append(try newKey(algorithm, at: now, activatesAt: activatesAt, among: contents.records))
        }
        let records = contents.records.applying(changes)
        let firstSigning = ring(records).records
            .filter { schedule.algorithms.contains($0.algorithm) && $0.revokedAt == nil && $0.retiresAt == nil }
            .compactMap(\.activatesAt).min()
        // Not before every server has heard of it, by its own clock.
        let retiresAt = max(now + schedule.clockLeeway + KeyRing.propagation, firstSigning ?? now)
        for var record in records
        where !schedule.algorithms.contains(record.algorithm) && record.activatesAt != nil && record.retiresAt == nil
            && record.revokedAt == nil
        {
            record.retiresAt = retiresAt
            changes.append(.update(record))
        }
        return changes + raisePromises(contents.records.applying(changes), at: now)
    }

    /// Whether a key in one of these states signs with an algorithm until another takes over.
    private func isServed(
        _ algorithm: Algorithm, by records: [KeyRecord], in states: [KeyState], at now: Instant
    ) -> Bool {
        let ring = ring(records)
        return ring.reign(of: algorithm).contains {
            $0.retiresAt == nil && $0.hasPrivateKey && states.contains(ring.state(of: $0, at: now))
        }
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

    /// How far ahead of the clock it is recorded that a key signs: so much longer than its tokens need is it published after
    /// a takeover at once.
    private var signingStep: Duration { min(max(schedule.tokenLifetime / 10, .seconds(5)), .seconds(60)) }

    /// What a running server writes down before it signs and publishes: what ``raisePromises(_:at:)`` says, and up to when
    /// the keys that sign, or soon will, may have signed; that is raised once half of the step is left.
    public func upkeep(_ records: [KeyRecord], at now: Instant) -> [KeyChange] {
        let promises = raisePromises(records, at: now)
        let ring = ring(records.applying(promises))
        let signing = ring.records.compactMap { record -> KeyChange? in
            guard let activatesAt = record.activatesAt, activatesAt <= now + signingStep,
                [.pending, .active].contains(ring.state(of: record, at: now))
            else { return nil }
            let end = min(now + signingStep, ring.retiresAt(record) ?? now + signingStep)
            guard record.signedUntil.map({ $0 < min(end, now + signingStep / 2) }) ?? true else { return nil }
            var raised = record
            raised.signedUntil = end
            return .update(raised)
        }
        return promises + signing
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
        // Another node may have promised more since this one started.
        let publishAhead = max(schedule.publishAhead, schedule.timeToBeSeen(records))
        // What lies further ahead, by an import or by a clock that was wrong for a while, doesn't put this off.
        let horizon = now + publishAhead * 2
        guard let newest = ring(records).reign(of: algorithm).last(where: { $0.activatesAt! <= horizon }) else {
            return nil
        }
        let due = newest.activatesAt! + schedule.rotateEvery
        guard due <= now + publishAhead else { return nil }
        return max(due, now + publishAhead)
    }

    /// Whether ``automaticRotation(_:at:)`` would make a key; it makes none to find out.
    func isRotationDue(_ records: [KeyRecord], at now: Instant) -> Bool {
        schedule.algorithms.contains { nextRotation(of: $0, records, at: now) != nil }
    }

    /// Revokes those that are known to have been revoked: an older copy was put back over the revocation.
    func revokingAgain(
        _ known: [KeyID: KnownKeys.Key], _ contents: KeyStoreContents, at now: Instant
    ) throws -> [KeyChange] {
        try contents.records.filter { $0.revokedAt == nil }.reduce(into: []) { changes, record in
            guard let revokedAt = known[record.keyID]?.revokedAt else { return }
            changes += try revocation(
                of: record.keyID, reason: "revoked before, and put back", revokedAt: revokedAt,
                contents.applying(changes), at: now)
        }
    }

    // MARK: What an operator does

    /// New keys, of every configured algorithm unless one is named.
    ///
    /// - Parameters:
    ///   - algorithm: the one to rotate; `nil` for all that are configured.
    ///   - immediately: they sign at once, and verifiers that cache refuse their tokens until they fetch the JWKS.
    ///   - contents: what is stored.
    ///   - now: when it is.
    /// - Throws: ``KeyServiceError`` `refused` for an algorithm that isn't configured, `badSettings` for a schedule
    ///   that breaks its rules.
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

    /// Takes a key out of the JWKS. If it was signing, or was the only one to come for its algorithm, its replacement
    /// comes first.
    ///
    /// - Parameters:
    ///   - keyID: of the key.
    ///   - reason: why, in words, for its record.
    ///   - revokedAt: when it was, if that is another instant.
    ///   - contents: what is stored.
    ///   - now: the instant.
    /// - Throws: ``KeyServiceError`` `refused` for a key that isn't there.
    public func revocation(
        of keyID: KeyID, reason: String, revokedAt: Instant? = nil, _ contents: KeyStoreContents, at now: Instant
    ) throws -> [KeyChange] {
        let ring = ring(contents.records)
        guard var record = ring.record(keyID) else {
            throw KeyServiceError(.refused, "there is no key \(keyID): keys list shows those there are")
        }
        guard record.revokedAt == nil else { return [] }
        let state = ring.state(of: record, at: now)
        record.revokedAt = revokedAt ?? now
        record.revocationReason = reason
        let others = contents.records.applying([.update(record)])
        var changes: [KeyChange] = []
        if state == .active {
            // An instant later than the revoked key's own, whatever the clock says.
            let activatesAt = max(record.activatesAt!, onEveryClock(now))
            changes = [try newKey(record.algorithm, at: now, activatesAt: activatesAt, among: contents.records)]
            if record.retiresAt != nil, case .add(var replacement, let key) = changes[0] {
                replacement.retiresAt = record.retiresAt
                changes = [.add(replacement, key)]
            }
        } else if state == .pending, schedule.algorithms.contains(record.algorithm),
            !isServed(record.algorithm, by: others, in: [.pending, .active], at: now)
        {
            // Where nothing else signs by then, tokens that some verifiers can't verify yet are better than none.
            let isAlone = Algorithm.table.allSatisfy { self.ring(others).active($0, at: record.activatesAt!) == nil }
            let activatesAt =
                isAlone ? record.activatesAt! : max(record.activatesAt!, now + schedule.timeToBeSeen(contents.records))
            changes = [try newKey(record.algorithm, at: now, activatesAt: activatesAt, among: contents.records)]
        }
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
        let thumbprint = try jwk.publicKey.thumbprint()
        try refuseKnown(thumbprint: thumbprint, keyID: thumbprint, contents.records)
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
        let activatesAt = freeInstant(
            for: algorithm, from: activateAt ?? now + schedule.publishAhead, among: contents.records)
        return .add(
            try KeyRecord(key, algorithm: algorithm, createdAt: now, activatesAt: activatesAt, schedule: schedule), key)
    }

    /// Takes in a public key of another system, so that its tokens stay good until they have expired.
    ///
    /// - Parameters:
    ///   - jwk: the key.
    ///   - keyID: the `kid` that those tokens name; the JWK's own or the thumbprint otherwise.
    ///   - until: when it leaves the JWKS.
    ///   - contents: what is stored.
    ///   - now: when it is.
    /// - Throws: ``KeyServiceError`` `refused` for an instant that is past, and for a key or a `kid` that is there
    ///   already or was revoked.
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
        // By a clock that is behind the key may sign still.
        let behind = now - schedule.clockLeeway
        let erased = contents.records.filter { record in
            record.hasPrivateKey && [.retired, .expired, .revoked].contains(ring.state(of: record, at: behind))
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
