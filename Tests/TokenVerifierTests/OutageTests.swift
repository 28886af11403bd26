import Foundation
import JOSE
import Testing

@testable import TokenVerifier

/// What a verifier makes of tokens while it can't reach the issuer, as the docs show it.
@Suite("While the issuer is away")
struct OutageTests {
    /// How long the issuer has been away.
    private static let durations: [(name: String, duration: Duration)] = [
        ("1 minute", .seconds(60)), ("9 minutes", .seconds(540)), ("11 minutes", .seconds(660)),
        ("1 hour", .seconds(3600)), ("1 hour 6 minutes", .seconds(3960)), ("1 day", .seconds(86_400)),
    ]

    /// Tokens that are signed at the time they are verified, each by another key or session.
    private static let columns = [
        "signed by a key from before", "signed by a key made since", "signed by a key revoked since",
        "of a session ended since",
    ]

    private static func row(_ duration: Duration, _ policy: TokenVerifier<NoClaims>.StatusPolicy) async throws
        -> [String]
    {
        let issuer = try FakeIssuer()
        let (revoked, made) = (try FakeIssuer.Key(), try FakeIssuer.Key())
        issuer.state.withLock { $0.keys.append(revoked) }
        let verifier: TokenVerifier<NoClaims> = issuer.verifier(statusPolicy: policy)
        _ = try await verifier.verify(issuer.token()).get()
        issuer.state.withLock { state in
            state.isAway = true
            state.endedIndexes = [7]
        }
        // It asks all the while, as a service does.
        for _ in 0..<20 {
            issuer.advance(duration / 20)
            _ = try? await verifier.verify(issuer.token())
            await Task.yield()
        }
        let known = issuer.state.withLock { $0.keys[0] }
        let tokens = try [
            known.sign(issuer.claims()), made.sign(issuer.claims()), revoked.sign(issuer.claims()),
            known.sign(issuer.claims(index: 7)),
        ]
        var outcomes: [String] = []
        for token in tokens {
            do {
                let rejection = try await verifier.verify(token).rejection
                outcomes.append(rejection.map { "rejected (`\($0)`)" } ?? "accepted")
            } catch is VerifierUnavailable {
                outcomes.append("can't tell")
            }
        }
        return outcomes
    }

    private static func table(_ policy: TokenVerifier<NoClaims>.StatusPolicy) async throws -> String {
        var lines = [
            "| the issuer has been away for | \(columns.joined(separator: " | ")) |",
            "| --- |" + String(repeating: " --- |", count: columns.count),
        ]
        for (name, duration) in durations {
            lines.append("| \(name) | \(try await row(duration, policy).joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n")
    }

    @Test("a verifier does what docs/verifying.md says", arguments: [true, false])
    func table(requiresStatus: Bool) async throws {
        let table = try await Self.table(requiresStatus ? .require : .allowUntilExpiry)
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/verifying.md")
        let docs = try String(contentsOf: file.standardized, encoding: .utf8)
        #expect(docs.contains(table), "docs/verifying.md should have this table:\n\(table)")
    }
}
