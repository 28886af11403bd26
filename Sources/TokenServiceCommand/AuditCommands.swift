import ArgumentParser
import Foundation
import JOSE
import Storage
import TokenService

struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows who did what.", subcommands: [AuditList.self])
}

struct AuditList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists log-ins, refreshes refused, rotations, revocations and other changes, the oldest first.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "From this time on (RFC 3339).")
    var since: String?

    func run() async throws {
        let since = try since.map { text in
            guard let instant = Instant(rfc3339: text) else {
                throw ServiceError(.usage, "--since \(text): not a time as 2026-01-31T12:00:00Z")
            }
            return instant
        }
        let installation = try shared.installation().installation
        let audit = AuditLog(database: try await installation.database(creating: false))
        output.print(try await audit.records(since: since ?? Instant(microseconds: 0)))
    }
}

/// Who runs the command.
enum Operator {
    static var current: AuditActor { .operatorNamed(NSUserName()) }
}
