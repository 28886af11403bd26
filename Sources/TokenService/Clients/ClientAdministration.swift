public import JOSE
internal import KeyService
internal import Storage

/// What operators do with clients. Each change is recorded in the audit log.
public struct ClientAdministration: Sendable {
    public let store: ClientStore
    private let settings: Settings
    private let actor: AuditActor
    private let now: @Sendable () -> Instant

    public init(store: ClientStore, settings: Settings, actor: AuditActor, now: @escaping @Sendable () -> Instant) {
        self.store = store
        self.settings = settings
        self.actor = actor
        self.now = now
    }

    /// What a client is to be.
    public struct Request: Sendable {
        public var name: String
        public var scopes: [String] = []
        public var audiences: [String] = []
        public var algorithm: String?
        public var tokenLifetime: String?
        public var permissions: [String] = []
        /// A public key as PEM or JWK, for a client that signs assertions; `nil` for one that gets a secret.
        public var publicKey: String?

        public init(name: String) { self.name = name }
    }

    /// A client, and the secret that is shown this once.
    public struct Registration: Sendable {
        public let client: Client
        public let secret: String?

        /// The fields as they are printed.
        public var members: JSONObject {
            var members: JSONObject = ["client_id": .string(client.id)]
            if let secret { members["client_secret"] = .string(secret) }
            for member in client.members.members { members[member.name] = member.value }
            return members
        }
    }

    /// Adds a client.
    ///
    /// - Throws: ``ServiceError``.
    public func add(_ request: Request) async throws -> Registration {
        let (credential, secret) = try Self.credential(publicKey: request.publicKey)
        let client = Client(
            id: Base64URL.encode(try randomBytes(16)), name: try Self.name(request.name),
            authentication: secret == nil ? .privateKeyJWT : .clientSecret, credentials: [credential],
            scopes: try ClaimRules.scopes(request.scopes), audiences: try Self.audiences(request.audiences),
            algorithm: try request.algorithm.map(algorithm), tokenLifetime: try request.tokenLifetime.map(lifetime),
            permissions: try Self.permissions(request.permissions), status: nil, createdAt: now(), rotatedAt: nil)
        do {
            try await store.add(client, audit: record(.clientAdded, client))
        } catch let error as StorageError where error.code == .alreadyThere {
            throw ServiceError(.failed, "there is a client \(client.name) already; choose another name")
        }
        return Registration(client: client, secret: secret)
    }

    /// Gives a client another credential of the kind it has. The one before stays good until the next comes.
    ///
    /// - Parameter immediately: to drop every other one now, and end the tokens that are out.
    public func rotate(_ client: Client, publicKey: String?, immediately: Bool) async throws -> Registration {
        switch (client.authentication, publicKey) {
        case (.privateKeyJWT, nil):
            throw ServiceError(
                .usage, "the client \(client.name) has a key and no secret: name its next one with --public-key FILE")
        case (.clientSecret, _?):
            throw ServiceError(.usage, "the client \(client.name) has a secret: --public-key doesn't go with it")
        default: break
        }
        let (credential, secret) = try Self.credential(publicKey: publicKey)
        let audit = record(.clientCredentialRotated, client)
        let rotated =
            immediately
            ? try await store.replace(id: client.id, by: credential, audit: audit)
            : try await store.rotate(id: client.id, to: credential, audit: audit)
        return Registration(client: try present(rotated, client), secret: secret)
    }

    /// Drops the older of a client's two credentials.
    public func finishRotation(_ client: Client) async throws -> Client {
        guard
            let finished = try await store.finishRotation(
                id: client.id, audit: record(.clientCredentialRotated, client))
        else {
            throw ServiceError(.failed, "the client \(client.name) has one credential only: there is none to drop")
        }
        return finished
    }

    /// Forgets a client, and ends its tokens.
    public func remove(_ client: Client) async throws {
        guard try await store.remove(id: client.id, audit: record(.clientRemoved, client)) else {
            _ = try present(nil, client)
            return
        }
    }

    private func present(_ changed: Client?, _ client: Client) throws -> Client {
        guard let changed else { throw ServiceError(.failed, "the client \(client.name) is gone") }
        return changed
    }

    private func record(_ event: AuditRecord.Event, _ client: Client) -> AuditRecord {
        AuditRecord(event, by: actor, subject: client.id, at: now())
    }

    // MARK: Reading what was asked for

    private static func credential(publicKey: String?) throws -> (Client.Credential, secret: String?) {
        guard let publicKey else {
            let secret = Base64URL.encode(try randomBytes(32))
            return (try .ofSecret(secret), secret)
        }
        do {
            let isJSON = publicKey.first { !$0.isWhitespace } == "{"
            let key = try isJSON ? JWK(json: publicKey.utf8) : JWK(PublicKey(pem: publicKey))
            guard key.privateKey == nil else {
                throw ServiceError(.usage, "--public-key: the file holds a private key, which is the client's alone")
            }
            if case .rsa(let bits) = key.publicKey.parameters, bits > 4096 {
                throw ServiceError(.usage, "--public-key: an RSA key of \(bits) bits; at most 4096 are taken")
            }
            return (.key(key), nil)
        } catch let error as JOSEError {
            throw ServiceError(.usage, "--public-key: not a public key as PEM or JWK that is taken: \(error)")
        }
    }

    private static func name(_ text: String) throws -> String {
        guard (1...256).contains(text.utf8.count), isPrintable(text) else {
            throw ServiceError(.usage, "the name has to be of 1 to 256 bytes, without control characters")
        }
        return text
    }

    private static func audiences(_ texts: [String]) throws -> [String] {
        var audiences: [String] = []
        for text in texts where !audiences.contains(text) {
            guard (1...1024).contains(text.utf8.count), isPrintable(text) else {
                throw ServiceError(.usage, "--audience: a text of 1 to 1024 bytes, without control characters")
            }
            audiences.append(text)
        }
        guard audiences.reduce(0, { $0 + $1.utf8.count }) <= ClaimRules.maximumSize else {
            throw ServiceError(.usage, "the audiences are over \(ClaimRules.maximumSize) bytes, too much for a token")
        }
        return audiences
    }

    private static func isPrintable(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }

    private func algorithm(_ name: String) throws -> Algorithm {
        let known = settings.keySchedule.algorithms
        guard let algorithm = known.first(where: { $0.name == name }) else {
            throw ServiceError(
                .usage,
                "--algorithm \(name): no key signs with that; the setting algorithms has "
                    + known.map(\.name).joined(separator: ", "))
        }
        return algorithm
    }

    private func lifetime(_ text: String) throws -> Duration {
        let bound = settings.keySchedule.tokenLifetime
        guard let lifetime = SettingText.duration(text), lifetime >= .seconds(1), lifetime <= bound else {
            throw ServiceError(
                .usage,
                "--access-token-lifetime \(text): a duration as 5m, up to the setting of that name, "
                    + "which is \(bound.components.seconds)s")
        }
        return lifetime
    }

    private static func permissions(_ texts: [String]) throws -> [Client.Permission] {
        let asked = try texts.map { text in
            guard let permission = Client.Permission(rawValue: text) else {
                let names = Client.Permission.allCases.map(\.rawValue).joined(separator: ", ")
                throw ServiceError(.usage, "--may \(text): there are \(names)")
            }
            return permission
        }
        return Client.Permission.allCases.filter(asked.contains)
    }
}
