import ArgumentParser
import JOSE
import Storage
import TokenService

struct DatabaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "database", abstract: "Moves the database.", subcommands: [DatabaseCopyCommand.self])
}

struct DatabaseCopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Copies everything from one database to another, of either kind.",
        discussion:
            "Stop the servers first: what they change meanwhile isn't in the copy. All is copied or nothing; the target has "
            + "to be empty, and is compared with the source row by row before it counts. The source stays as it is.")

    @OptionGroup var output: OutputOptions

    @Option(help: "sqlite:PATH or postgres://USER@HOST/NAME.")
    var from: String

    @Option(help: "Likewise; the database of a server has to be there, a file is made.")
    var to: String

    func run() async throws {
        guard from != to else { throw ServiceError(.usage, "--from and --to name the same database") }
        let source = try await open(from, "--from", creating: false)
        let target = try await open(to, "--to", creating: true)
        let bar = ProgressBar()
        defer { bar.end() }
        let counts = try await DatabaseCopy(from: source, to: target).run { bar.show("copying", $0, of: $1) }
        bar.end()
        output.print(counts.map { ["table": .string($0.table), "rows": .integer(Int64($0.rows))] })
        try source.close()
        try target.close()
    }

    private func open(_ text: String, _ option: String, creating: Bool) async throws -> any Database {
        do {
            let database = try DatabaseAddress(text).open(creating: creating)
            try await database.migrate(Schema.migrations)
            return database
        } catch let error as StorageError where error.code == .badAddress {
            throw ServiceError(.usage, "\(option): \(error)")
        }
    }
}
