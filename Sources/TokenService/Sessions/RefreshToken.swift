internal import JOSE

/// What a refresh token says: which session, and how often it was refreshed.
///
/// As text it is the base64url of `version ‖ session id ‖ generation ‖ seed ‖ MAC`: 1, 16, 8, 16 and 32 bytes. The MAC
/// covers all that stands before it, so that a made-up token is refused without a query. Of the seed the database keeps
/// only a hash, so that neither the database nor the secret alone forges one.
struct RefreshToken: Equatable {
    /// 16 random bytes.
    let sessionID: [UInt8]
    /// 1 for the token of the log-in.
    let generation: Int64
    /// 16 random bytes a session.
    let seed: [UInt8]

    private static let version: UInt8 = 1
    private static let size = 1 + 16 + 8 + 16

    /// The id as the database and the `sid` claim spell it.
    var sessionName: String { Base64URL.encode(sessionID) }

    /// What the database keeps of the seed.
    var seedHash: [UInt8] { get throws { try SHA256.hash(seed) } }

    /// The token after this one.
    var successor: RefreshToken { RefreshToken(sessionID: sessionID, generation: generation + 1, seed: seed) }

    fileprivate var content: [UInt8] {
        let number = (0..<8).reversed().map { UInt8(truncatingIfNeeded: generation >> (8 * $0)) }
        return [Self.version] + sessionID + number + seed
    }

    fileprivate init?(content: ArraySlice<UInt8>) {
        let bytes = Array(content)
        guard bytes.count == Self.size, bytes[0] == Self.version else { return nil }
        sessionID = Array(bytes[1..<17])
        generation = bytes[17..<25].reduce(0) { $0 << 8 | Int64($1) }
        seed = Array(bytes[25...])
        guard generation > 0, generation < .max else { return nil }
    }

    init(sessionID: [UInt8], generation: Int64, seed: [UInt8]) {
        self.sessionID = sessionID
        self.generation = generation
        self.seed = seed
    }
}

/// Writes and reads refresh tokens under the master secret.
struct RefreshTokenCoder: Sendable {
    /// One a line of the secret, the current first.
    private let keys: [SecretBytes]

    private static let codeSize = 32

    /// - Parameter keys: the first writes, all read.
    init(keys: [SecretBytes]) { self.keys = keys }

    func text(of token: RefreshToken) throws -> String {
        let content = token.content
        return Base64URL.encode(content + (try HMACSHA256.authenticationCode(for: content, key: keys[0])))
    }

    /// - Returns: `nil` for anything that wasn't written under this secret.
    func read(_ text: String) throws -> RefreshToken? {
        guard text.utf8.count <= 256, let bytes = try? Base64URL.decode(text), bytes.count > Self.codeSize else {
            return nil
        }
        let content = bytes.dropLast(Self.codeSize)
        let code = Array(bytes.suffix(Self.codeSize))
        let isOurs = try keys.contains {
            constantTimeEquals(try HMACSHA256.authenticationCode(for: Array(content), key: $0), code)
        }
        return isOurs ? RefreshToken(content: content) : nil
    }
}
