import ArgumentParser
import Foundation
import JOSE
import KeyService
import Storage
import TokenAttacks
import TokenService
import TokenVerifier

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Sends a downstream endpoint a valid token and every known attack, and tells which got in.",
        discussion:
            "It runs beside the issuer: the tokens are signed with the keys that sign now, and name nobody's session. "
            + "Exit status 1 if an attack got in, or the endpoint accepts no valid token. Some tokens the standards let a "
            + "verifier accept, though a strict one refuses them: those are \"tolerated\", and count with --strict only."
    )

    @OptionGroup var shared: SharedOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "An endpoint that answers GET with a bearer token.")
    var url: String

    @Option(help: "The iss claim. (default: the setting issuer, or the listening URL)")
    var issuer: String?

    @Option(help: "The aud claim that the endpoint expects. (default: the setting audience, or the issuer)")
    var audience: String?

    @Option(help: "A scope that the endpoint wants. Repeats.")
    var scope: [String] = []

    @Option(help: "KEY=JSON, a claim that the endpoint wants. Repeats.")
    var claim: [String] = []

    @Flag(help: "Count what is tolerated as having got in.")
    var strict = false

    @Flag(help: "Send to another machine than this one, too.")
    var yes = false

    func run() async throws {
        let isLoopback = try Self.isLoopback(url)
        let (settings, installation, _) = try shared.installation(["issuer": issuer, "audience": audience])
        let store = try await installation.keyStore(secret: installation.masterSecret(creating: false))
        let ring = try await KeyAdministration(
            store: store, planner: KeyPlanner(schedule: settings.keySchedule), now: Clock.now
        ).list().ring
        let issuer = settings.expectedIssuer
        let expectation = Doctor.Expectation(
            issuer: issuer, audience: settings.audience ?? issuer, scopes: try ClaimRules.scopes(scope),
            claims: try ClaimRules.claims(claim), lifetime: settings.keySchedule.tokenLifetime)
        let materials = try await Doctor.materials(
            ring, store: store, algorithms: settings.keySchedule.algorithms, expecting: expectation,
            status: await status(settings, installation, issuer), at: Clock.now())
        let count = Doctor.requestCount(materials: materials.count)
        Console.error(
            "sends \(count) requests to \(url): valid tokens of \(issuer) for \(expectation.audience), and forged ones, "
                + "for \(materials.map(\.algorithm.name).joined(separator: " and "))")
        guard isLoopback || yes else {
            throw ServiceError(.usage, "\(url) is on another machine: say --yes if attacks may be sent to it")
        }
        let findings = try await Doctor(url: url).examine(materials) { made in
            if isatty(STDERR_FILENO) == 1 { FileHandle.standardError.write(Data("\r\(made) of \(count) ".utf8)) }
        }
        if isatty(STDERR_FILENO) == 1 { Console.error("") }
        output.print(findings.map(\.members))
        let gotIn = findings.filter { $0.outcome == .gotIn || strict && $0.outcome == .tolerated }
        let failed = findings.filter { $0.outcome == .failed }
        if !failed.isEmpty { Console.error("warning: \(failed.count) requests had no answer, or one of the kind 500") }
        for finding in findings where finding.name == "valid" && finding.outcome == .refused {
            Console.error("warning: valid \(finding.algorithm) tokens are refused: it wasn't examined with those")
        }
        guard gotIn.isEmpty else { throw ServiceError(.failed, "\(gotIn.count) attacks got in") }
        guard findings.last(where: { $0.name == "valid" && $0.outcome != .refused })?.outcome == .accepted else {
            throw ServiceError(.failed, "after the attacks the endpoint accepts a valid token no more")
        }
        Console.error(failed.isEmpty ? "every attack was refused" : "no attack got in")
    }

    private static func isLoopback(_ url: String) throws -> Bool {
        guard let components = URLComponents(string: url), ["http", "https"].contains(components.scheme),
            let host = components.host, !host.isEmpty
        else { throw ServiceError(.usage, "\(url): not an http or https URL") }
        return WebOrigin.isLoopback(host: host)
    }

    /// The `status` claim for the tokens; none where there is no database here.
    private func status(_ settings: Settings, _ installation: Installation, _ issuer: String) async -> JSONValue? {
        do {
            let database = try await installation.database(creating: false)
            return try await Doctor.status(
                issuer: issuer, database: database, address: settings.database, at: Clock.now())
        } catch {
            Console.error("warning: the tokens name no status list, which some services want: \(error)")
            return nil
        }
    }
}
