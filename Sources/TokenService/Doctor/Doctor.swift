internal import AsyncHTTPClient
public import JOSE
internal import NIOCore
internal import NIOHTTP1
public import TokenAttacks

/// Examines an endpoint of another service: it has to accept a valid token, and to refuse every attack.
public struct Doctor: Sendable {
    private let url: String

    /// - Parameter url: of an endpoint that answers GET with a valid bearer token.
    public init(url: String) { self.url = url }

    /// What the endpoint did with one token.
    public struct Finding: Sendable {
        /// How it ended.
        public enum Outcome: String, Sendable {
            case accepted, refused
            /// An attack that was accepted, or led the endpoint to the attacker's URL.
            case gotIn = "got_in"
            /// A token that the standards let a verifier accept, but a strict one refuses.
            case tolerated
            /// No answer, or one of the kind 500.
            case failed
        }

        /// The attack's name; `valid` for the valid token.
        public let name: String
        public let algorithm: Algorithm
        /// The status of the answer; `nil` where there was none.
        public let status: Int?
        public fileprivate(set) var outcome: Outcome
        /// What a verifier does wrong that accepts it.
        public let explanation: String

        /// The fields as they are printed.
        public var members: JSONObject {
            [
                "attack": .string(name), "algorithm": .string(algorithm.name),
                "status": status.map { .integer(Int64($0)) } ?? .null, "outcome": .string(outcome.rawValue),
                "explanation": .string(explanation),
            ]
        }
    }

    /// The attacks that are sent; some can't be, in a header.
    private static let attacks = (TokenAttack.all + TokenAttack.strict).filter(\.fitsHTTP)

    /// How many requests an examination takes.
    public static func requestCount(materials: Int) -> Int { materials * (attacks.count + 2) }

    /// Sends the valid token of each material, every attack made of it, and the valid token again.
    ///
    /// - Parameter progress: is told how many requests were made.
    /// - Throws: ``ServiceError`` where every valid token is refused: then nothing can be told.
    public func examine(
        _ materials: [AttackMaterial], progress: @escaping @Sendable (Int) -> Void
    ) async throws -> [Finding] {
        try await AttackerServer.run { try await examine(materials, $0, progress: progress) }
    }

    private func examine(
        _ materials: [AttackMaterial], _ attacker: AttackerServer, progress: (Int) -> Void
    ) async throws -> [Finding] {
        var findings: [Finding] = []
        for var material in materials {
            material.attackerURL = attacker.url
            attacker.answer(try material.attackerJWKS())
            let valid = try await send(Array(try material.validToken().utf8), nil, material)
            findings.append(valid)
            // An endpoint may take the tokens of one algorithm only.
            guard valid.outcome == .accepted else { continue }
            for attack in Self.attacks {
                let before = attacker.requestCount
                var finding = try await send(try attack.token(material), attack, material)
                if attacker.requestCount > before { finding.outcome = .gotIn }
                findings.append(finding)
                progress(findings.count)
            }
            findings.append(try await send(Array(try material.validToken().utf8), nil, material))
            progress(findings.count)
        }
        guard findings.contains(where: { $0.outcome == .accepted }) else {
            throw ServiceError(
                .failed,
                "\(url) refuses valid tokens (\(findings[0].status.map { "status \($0)" } ?? "no answer")): is it GET with a "
                    + "bearer token, and are --issuer, --audience, --scope and --claim what it expects?")
        }
        return findings
    }

    private func send(_ token: [UInt8], _ attack: TokenAttack?, _ material: AttackMaterial) async throws -> Finding {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Authorization", value: "Bearer " + String(decoding: token, as: UTF8.self))
        let status = try? await Int(HTTPClient.shared.execute(request, timeout: .seconds(15)).status.code)
        let outcome: Finding.Outcome =
            switch status ?? 500 {
            case 200..<300: attack.map { $0.isRefusedByAll ? .gotIn : .tolerated } ?? .accepted
            case 300..<500: .refused
            default: .failed
            }
        return Finding(
            name: attack?.name ?? "valid", algorithm: material.algorithm, status: status, outcome: outcome,
            explanation: attack?.explanation ?? "a valid token")
    }
}
