import ArgumentParser
import JOSE
import KeyService
import TokenService

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists, rotates, revokes and moves signing keys.",
        subcommands: [
            KeysList.self, KeysRotate.self, KeysRevoke.self, KeysImport.self, KeysExport.self, KeysPrune.self,
            KeysMigrate.self, KeysReencrypt.self,
        ])
}

/// What the key commands share.
struct KeyOptions: ParsableArguments {
    @OptionGroup var shared: SharedOptions

    /// Records what was done to some keys. What was done stays done where that fails.
    ///
    /// - Parameters:
    ///   - remembering: records that the database is to remember for ever.
    ///   - creating: whether the command may be the first of a service, and make its database.
    func audit(
        _ event: AuditRecord.Event, _ keyIDs: [KeyID?], remembering records: [KeyRecord] = [], creating: Bool = false
    ) async throws {
        let installation = try shared.installation().installation
        do {
            let database = try await installation.database(creating: creating)
            if !records.isEmpty { try await KnownKeys(database: database).remember(records) }
            let audit = AuditLog(database: database)
            for keyID in keyIDs {
                try await audit.write(
                    AuditRecord(event, by: Operator.current, subject: keyID?.rawValue, at: Clock.now()))
            }
        } catch {
            Console.error("warning: the audit log has no record of this: \(error)")
        }
    }

    /// Refuses where there is no key and the database knows of some: they are missing rather than still to be made.
    func refuseToBegin() async throws {
        let installation = try shared.installation().installation
        guard installation.hasEmptyKeyFolder, let database = try? await installation.database(creating: false) else {
            return
        }
        try await installation.refuseToBegin(over: database)
    }

    /// - Parameter creating: whether the command may be the first of a service, and make its master secret and key folder.
    func administration(creating: Bool = false) async throws -> (
        administration: KeyAdministration, schedule: KeySchedule
    ) {
        let (settings, installation, _) = try shared.installation()
        let store = try await installation.keyStore(
            secret: installation.masterSecret(creating: creating), creating: creating)
        let planner = KeyPlanner(schedule: settings.keySchedule)
        return (KeyAdministration(store: store, planner: planner, now: Clock.now), settings.keySchedule)
    }
}

extension KeyAdministration.Outcome {
    /// The record of a key as it is printed.
    ///
    /// - Parameter isMade: `false` for a key that a dry run only imagined, which has no `kid` yet.
    func printable(_ record: KeyRecord, isMade: Bool = true) -> JSONObject {
        func time(_ instant: Instant?) -> JSONValue { instant.map { .string($0.description) } ?? .null }
        return [
            "kid": isMade ? .string(record.keyID.rawValue) : .null, "algorithm": .string(record.algorithm.name),
            "state": .string(ring.state(of: record, at: instant).rawValue), "created_at": time(record.createdAt),
            "activates_at": time(record.activatesAt), "retires_at": time(ring.retiresAt(record)),
            "expires_at": time(record.revokedAt == nil ? ring.expiresAt(record) : nil),
            "revoked_at": time(record.revokedAt),
        ]
    }

    func reportDamaged() { damaged.forEach { Console.error("warning: a key can't be read, and is left out: \($0)") } }
}

struct KeysList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the keys, newest first.")

    @OptionGroup var options: KeyOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let outcome = try await options.administration().administration.list()
        outcome.reportDamaged()
        let records = outcome.ring.records.sorted { ($0.createdAt, $0.keyID) > ($1.createdAt, $1.keyID) }
        output.print(records.map { outcome.printable($0) })
    }
}

struct KeysRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Makes and publishes the next key; it signs after publish-ahead.")

    @OptionGroup var options: KeyOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "Rotate this algorithm only.")
    var algorithm: String?

    @Flag(help: "Sign with it at once. Verifiers that cache the JWKS refuse its tokens until they fetch it again.")
    var immediately = false

    @Flag(help: "Print what would be, and change nothing.")
    var dryRun = false

    func run() async throws {
        let algorithm = try algorithm.map { name in
            do { return try Algorithm(named: name) } catch {
                throw ServiceError(.usage, "--algorithm \(name): \(error)")
            }
        }
        // Who wants new keys in place of lost ones says --immediately; a timer doesn't.
        if !immediately, !dryRun { try await options.refuseToBegin() }
        let (administration, schedule) = try await options.administration(creating: !dryRun)
        let outcome = try await administration.rotate(algorithm, immediately: immediately, dryRun: dryRun)
        if !dryRun { try await options.audit(.keyRotated, outcome.newKeys.map(\.keyID), creating: true) }
        outcome.reportDamaged()
        if immediately { warnOfCaches(schedule, isDone: !dryRun) }
        let made = Set(outcome.newKeys.map(\.keyID))
        output.print(outcome.concerned.map { outcome.printable($0, isMade: !dryRun || !made.contains($0.keyID)) })
        if dryRun { Console.error("dry run: nothing was changed") }
    }
}

/// Says what a key costs that signs before verifiers can have seen it.
private func warnOfCaches(_ schedule: KeySchedule, isDone: Bool) {
    Console.error(
        "warning: verifiers that cache the JWKS \(isDone ? "refuse" : "would refuse") tokens of the new key until they fetch "
            + "it again, for up to \(schedule.jwksMaxAge.components.seconds) s (jwks-max-age)")
}

struct KeysRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Takes a compromised key out of the JWKS at once.",
        discussion: "If it was signing, a replacement, stored first, signs at once. Every token that the key signed is "
            + "refused as soon as a verifier fetches the JWKS again, within jwks-max-age. This can't be undone.")

    @OptionGroup var options: KeyOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The kid of the key.")
    var kid: String

    @Option(help: "Why, for the record.")
    var reason: String

    func run() async throws {
        guard let keyID = KeyID(kid) else { throw ServiceError(.usage, "\(kid) can't be a kid") }
        let (administration, schedule) = try await options.administration()
        let outcome = try await administration.revoke(keyID, reason: reason)
        if !outcome.changes.isEmpty {
            try await options.audit(.keyRevoked, [keyID], remembering: outcome.ring.records)
        }
        outcome.reportDamaged()
        if outcome.changes.isEmpty {
            Console.error("the key was revoked before; nothing was changed")
        } else {
            Console.error(
                "warning: verifiers that cache the JWKS accept tokens of the revoked key for up to "
                    + "\(schedule.jwksMaxAge.components.seconds) s (jwks-max-age), and refuse all of them after that")
        }
        if !outcome.newKeys.isEmpty { warnOfCaches(schedule, isDone: true) }
        let records = outcome.changes.isEmpty ? outcome.ring.records.filter { $0.keyID == keyID } : outcome.concerned
        output.print(records.map { outcome.printable($0) })
    }
}

struct KeysImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Takes in a private key (PEM or JWK), or a public one that only verifies.")

    @OptionGroup var options: KeyOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "A PEM file (PKCS#8, PKCS#1, SEC1) or a JWK.", completion: .file())
    var file: String

    @Option(help: "A file with the passphrase of the PEM.", completion: .file())
    var passphraseFile: String?

    @Option(help: "When it starts signing (RFC 3339); after publish-ahead unless told.")
    var activateAt: String?

    @Flag(help: "Take a public key of another system, and publish it until --until.")
    var verifyOnly = false

    @Option(parsing: .unconditional, help: "The kid that the other system's tokens name.")
    var kid: String?

    @Option(help: "When the last of the other system's tokens has expired (RFC 3339).")
    var until: String?

    func run() async throws {
        let activateAt = try activateAt.map { try Self.instant($0, "--activate-at") }
        let until = try until.map { try Self.instant($0, "--until") }
        guard verifyOnly || kid == nil && until == nil else {
            throw ServiceError(.usage, "--kid and --until go with --verify-only")
        }
        let text = String(decoding: try Console.readFile(file, limit: 64 * 1024), as: UTF8.self)
        let administration = try await options.administration(creating: true).administration
        let outcome: KeyAdministration.Outcome
        if verifyOnly {
            guard activateAt == nil else { throw ServiceError(.usage, "--activate-at doesn't go with --verify-only") }
            guard let until else { throw ServiceError(.usage, "--verify-only needs --until TIME") }
            let keyID = try kid.map { text in
                guard let keyID = KeyID(text) else { throw ServiceError(.usage, "--kid \(text): not a kid") }
                return keyID
            }
            let key = try Self.isJSON(text) ? JWK(json: text.utf8) : JWK(PublicKey(pem: text))
            outcome = try await administration.importVerifyOnly(key, keyID: keyID, until: until)
        } else {
            let key =
                try Self.isJSON(text) ? JWK(json: text.utf8) : JWK(PrivateKey(pem: text, passphrase: passphrase()))
            outcome = try await administration.importKey(key, activateAt: activateAt)
        }
        try await options.audit(.keyImported, outcome.newKeys.map(\.keyID), creating: true)
        outcome.reportDamaged()
        output.print(outcome.concerned.map { outcome.printable($0) })
    }

    private static func isJSON(_ text: String) -> Bool { text.first { !$0.isWhitespace } == "{" }

    private static func instant(_ text: String, _ option: String) throws -> Instant {
        guard let instant = Instant(rfc3339: text) else {
            throw ServiceError(.usage, "\(option) \(text): not a time as 2026-01-31T12:00:00Z")
        }
        return instant
    }

    private func passphrase() throws -> String? {
        try passphraseFile.map { path in
            let data = try Console.readFile(path, limit: 64 * 1024)
            return String(decoding: data.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
        }
    }
}

struct KeysExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "export", abstract: "Prints the public half of a key.")

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case jwk, pem
    }

    @OptionGroup var options: KeyOptions

    @Argument(help: "The kid of the key.")
    var kid: String

    @Option(help: "jwk or pem.")
    var format = Format.jwk

    func run() async throws {
        let outcome = try await options.administration().administration.list()
        guard let record = outcome.ring.records.first(where: { $0.keyID.rawValue == kid }) else {
            outcome.reportDamaged()
            throw ServiceError(.failed, "there is no key \(kid); keys list shows those there are")
        }
        switch format {
        case .jwk: Console.print(try record.jwk.publicMembers().jsonText)
        case .pem: Console.write(Array(try record.publicKey.pem().utf8))
        }
    }
}

struct KeysPrune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Erases private halves that can no longer sign, and forgets expired keys.")

    @OptionGroup var options: KeyOptions

    func run() async throws {
        let outcome = try await options.administration().administration.prune()
        if !outcome.changes.isEmpty { try await options.audit(.keysPruned, [nil]) }
        outcome.reportDamaged()
        let erased = outcome.changes.count { if case .erasePrivateKey = $0 { true } else { false } }
        Console.print("erased \(erased) private halves, forgot \(outcome.changes.count - erased) keys")
    }
}
