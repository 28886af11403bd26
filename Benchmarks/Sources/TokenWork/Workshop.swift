internal import CBaseline
internal import JOSE
internal import TokenService

/// Where all work is done: one issuer, and the contestants of each algorithm.
public struct Workshop: Sendable {
    public let es256: Contestants
    public let rs256: Contestants

    /// - Parameter tokenCount: how many tokens of each algorithm are made beforehand.
    public init(tokenCount: Int = 2048) async throws {
        let issuer = try await Issuer.start()
        es256 = try await Contestants(.es256, of: issuer, tokenCount: tokenCount)
        rs256 = try await Contestants(.rs256, of: issuer, tokenCount: tokenCount)
    }

    public var contestants: [Contestants] { [es256, rs256] }

    /// Argon2id at the service's default cost: in C, and as the service hashes a password.
    public static let argon2id: (c: Worker, service: Worker) = {
        let cost = PasswordCost(memory: 19 * 1024, iterations: 2)
        let password = "correct horse battery staple"
        return (
            { count in
                let result = CBaseline_argon2id(UInt32(cost.memory), UInt32(cost.iterations), password, count)
                guard result == 1 else { throw WorkFailed("Argon2id fails in C") }
            },
            { count in
                for _ in 0..<count { _ = try LogInWork.passwordHash(password, cost: cost) }
            }
        )
    }()
}
