public import JOSE
internal import Storage

/// A microservice, say, that gets tokens of its own.
public struct Client: Sendable {
    /// The `client_id`, and the `sub` of its own tokens: random, and never used again.
    public let id: String
    public let name: String
    public let authentication: Authentication
    /// The newest first; a second one while they are rotated.
    let credentials: [Credential]
    /// What it may ask for.
    public let scopes: [String]
    /// What it may ask for, the default first; empty for the setting `audience`.
    public let audiences: [String]
    /// `nil` for the one that signs log-in tokens.
    public let algorithm: Algorithm?
    /// How long its tokens are good for, where that is less than `access-token-lifetime`.
    public let tokenLifetime: Duration?
    public let permissions: [Permission]
    /// The bit of its own tokens; `nil` until it gets the first one.
    let status: StatusReference?
    public let createdAt: Instant
    public let rotatedAt: Instant?

    /// How a client shows that it is who it says.
    public enum Authentication: String, Sendable {
        case clientSecret = "client_secret"
        case privateKeyJWT = "private_key_jwt"
    }

    /// What it may do besides getting tokens of its own.
    public enum Permission: String, Sendable, CaseIterable {
        /// Ask what any token is worth (RFC 7662).
        case introspect
        /// Revoke others' tokens (RFC 7009).
        case revoke
        /// Swap a user's token for one of its own making (RFC 8693).
        case exchange
    }

    /// What the database keeps of a secret or a key.
    enum Credential: Sendable {
        /// The SHA-256 of a secret of 32 random bytes: nobody guesses those, so a slow hash would protect nothing.
        case secretHash([UInt8])
        case key(JWK)

        static func ofSecret(_ secret: String) throws -> Credential { .secretHash(try SHA256.hash(Array(secret.utf8))) }

        /// As it is stored: the hash, or the public members of the key as JSON.
        func stored() throws -> [UInt8] {
            switch self {
            case .secretHash(let hash): hash
            case .key(let key): try key.publicMembers().json
            }
        }

        init(stored: [UInt8], _ authentication: Authentication) throws {
            switch authentication {
            case .clientSecret: self = .secretHash(stored)
            case .privateKeyJWT: self = .key(try JWK(json: stored))
            }
        }
    }

    func may(_ permission: Permission) -> Bool { permissions.contains(permission) }

    /// The fields as they are printed.
    public var members: JSONObject {
        [
            "client_id": .string(id), "name": .string(name), "authentication": .string(authentication.rawValue),
            "scope": .string(scopes.joined(separator: " ")), "audiences": .array(audiences.map { .string($0) }),
            "algorithm": algorithm.map { .string($0.name) } ?? .null,
            "access_token_lifetime": tokenLifetime.map { .integer($0.components.seconds) } ?? .null,
            "may": .array(permissions.map { .string($0.rawValue) }), "created_at": .string(createdAt.description),
            "last_rotated_at": rotatedAt.map { .string($0.description) } ?? .null,
            "rotating": .bool(credentials.count > 1),
        ]
    }
}

extension Client {
    static let columns = """
        id, name, authentication, credential, previous_credential, scopes, audiences, algorithm, token_lifetime,
        permissions, status_list, status_index, created_at, rotated_at
        """

    init(_ row: Row) throws {
        id = try row.text("id")
        name = try row.text("name")
        guard let authentication = Authentication(rawValue: try row.text("authentication")) else {
            throw StorageError(.unexpected, "the client \(id) authenticates in a way that isn't known here")
        }
        self.authentication = authentication
        credentials = try [row.bytes("credential"), row.optionalBytes("previous_credential")].compactMap(\.self)
            .map { try Credential(stored: $0, authentication) }
        scopes = try row.text("scopes").split(separator: " ").map(String.init)
        audiences = try JSONValue(json: row.text("audiences").utf8).strings ?? []
        algorithm = try row.optionalText("algorithm").map { try Algorithm(named: $0) }
        tokenLifetime = try row.optionalInteger("token_lifetime").map { .microseconds($0) }
        permissions = try row.text("permissions").split(separator: " ").compactMap { Permission(rawValue: String($0)) }
        status = try StatusReference(row)
        createdAt = Instant(microseconds: try row.integer("created_at"))
        rotatedAt = try row.optionalInteger("rotated_at").map(Instant.init(microseconds:))
    }
}

extension StatusReference {
    /// The place of a client; `nil` for none.
    fileprivate init?(_ row: Row) throws {
        guard let list = try row.optionalText("status_list"), let index = try row.optionalInteger("status_index") else {
            return nil
        }
        self.init(list: list, index: Int(index))
    }
}
