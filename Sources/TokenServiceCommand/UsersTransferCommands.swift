public import ArgumentParser
import Foundation
public import TokenService

struct UsersImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Adds the users of a file with the hashes of their passwords.",
        discussion: """
            The file is CSV with a heading, username,password_hash[,claims][,scope][,disabled], or NDJSON: an object a line \
            with these members. claims is a JSON object, scope has spaces between the scopes, disabled is true or false.

            A password_hash is Argon2id ($argon2id$v=19$...) or scrypt ($scrypt$ln=...) in PHC form, bcrypt ($2a$, $2b$, \
            $2y$) or another of crypt(3)'s ($y$, $6$, $5$, $1$ ...). It is replaced by today's Argon2id when its user logs \
            in next. Hashes that would take over 1 GiB of memory, bcrypt over cost 16 and others over a million rounds are \
            refused.

            All users are added or none: an error names the line. Nobody who is there already is changed.
            """)

    @OptionGroup var options: UserOptions

    @Argument(help: "The file; /dev/stdin for standard input.", completion: .file())
    var file: String

    func run() async throws {
        let (size, read) = try Console.open(file)
        let accounts = try await options.accounts(creating: true)
        let bar = ProgressBar()
        defer { bar.end() }
        let count = try await accounts.importUsers(from: file, read: read) { progress in
            switch progress {
            case .checking(let bytes): bar.show("checking", bytes, of: size)
            case .storing(let users, let all): bar.show("storing", users, of: all)
            }
        }
        bar.end()
        Console.print("imported \(count) \(count == 1 ? "user" : "users")")
    }
}

struct UsersExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes all users with the hashes of their passwords to standard output.",
        discussion: """
            users import takes what this writes: \(UserFileFormat.allCases.map(\.rawValue).joined(separator: " or ")), in \
            the order of the names. The hashes are secrets: whoever has them can try passwords as fast as their machines \
            go. Make the file readable for you alone (umask 077), and remove it after use. The audit log says who exported.
            """)

    @OptionGroup var options: UserOptions

    @Option(help: "How to write: ndjson or csv.")
    var format = UserFileFormat.ndjson

    func run() async throws {
        try await options.accounts().exportUsers(as: format, write: Console.write)
    }
}

extension UserFileFormat: ExpressibleByArgument {}
