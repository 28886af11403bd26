import ArgumentParser
import Foundation
import JOSE
import TokenService

struct Users: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Adds and changes the users who log in.",
        subcommands: [
            UsersAdd.self, UsersList.self, UsersShow.self, UsersSetPassword.self, UsersSetClaims.self,
            UsersDisable.self, UsersEnable.self, UsersRemove.self, UsersImport.self, UsersExport.self,
        ])
}

/// What the user commands share.
struct UserOptions: ParsableArguments {
    @OptionGroup var shared: SharedOptions

    /// - Parameter creating: whether the command may be the first of a service, and make its database.
    func accounts(creating: Bool = false) async throws -> Accounts {
        let (settings, installation, _) = try shared.installation()
        let database = try await installation.database(creating: creating)
        return Accounts(
            users: UserStore(database: database),
            hasher: PasswordHasher(cost: settings.passwordCost, concurrency: 1), actor: Operator.current, now: Clock.now
        )
    }
}

/// One user, who has to be there.
struct NamedUserOptions: ParsableArguments {
    @OptionGroup var options: UserOptions

    @Argument(help: "The user's name.")
    var name: String

    func find() async throws -> (user: User, accounts: Accounts) {
        let accounts = try await options.accounts()
        return (try await accounts.users.find(name), accounts)
    }
}

struct CredentialOptions: ParsableArguments {
    @Flag(help: "Read the password from standard input; one line end is dropped.")
    var passwordStdin = false

    @Option(help: "Take a hash instead of a password, as users import does.")
    var passwordHash: String?

    func credential() throws -> Accounts.Credential {
        switch (passwordStdin, passwordHash) {
        case (true, _?): throw ServiceError(.usage, "--password-stdin and --password-hash exclude each other")
        case (false, let hash?): return .hash(hash)
        case (true, nil):
            guard let text = String(validating: try Console.readInput(limit: 4096), as: UTF8.self) else {
                throw ServiceError(.usage, "the password isn't UTF-8")
            }
            return .password(text)
        case (false, nil): return .password(try Console.askPassword())
        }
    }
}

extension User {
    var printable: JSONObject {
        [
            "id": .string(id), "username": .string(name), "claims": .object(claims),
            "scope": .string(scopes.joined(separator: " ")), "created_at": .string(createdAt.description),
            "disabled_at": disabledAt.map { .string($0.description) } ?? .null,
        ]
    }
}

struct UsersAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Adds a user; asks for the password.")

    @OptionGroup var options: UserOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var credential: CredentialOptions

    @Argument(help: "The name to log in with.")
    var name: String

    @Option(help: "KEY=JSON, a claim of the user's tokens: plan='\"gold\"', premium=true. Repeats.")
    var claim: [String] = []

    @Option(help: "A scope that the user may ask for. Repeats.")
    var scope: [String] = []

    func run() async throws {
        let (claims, scopes) = (try ClaimRules.claims(claim), try ClaimRules.scopes(scope))
        let credential = try credential.credential()
        let user = try await options.accounts(creating: true).add(
            name: name, credential: credential, claims: claims, scopes: scopes)
        output.print(user.printable)
    }
}

struct UsersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the users by name.")

    @OptionGroup var options: UserOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        output.print(try await options.accounts().users.users().map(\.printable))
    }
}

struct UsersShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows a user.")

    @OptionGroup var named: NamedUserOptions
    @OptionGroup var output: OutputOptions

    func run() async throws { output.print(try await named.find().user.printable) }
}

struct UsersSetPassword: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-password", abstract: "Sets another password, and ends the user's sessions.")

    @OptionGroup var named: NamedUserOptions
    @OptionGroup var credential: CredentialOptions

    func run() async throws {
        let (user, accounts) = try await named.find()
        try await accounts.setPassword(of: user, credential.credential())
    }
}

struct UsersSetClaims: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-claims", abstract: "Sets claims of a user; the others stay.",
        discussion: "They are in the user's tokens from the next log-in or refresh on.")

    @OptionGroup var named: NamedUserOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "KEY=JSON, as in users add. Repeats.")
    var claim: [String] = []

    @Option(help: "The key of a claim to remove. Repeats.")
    var remove: [String] = []

    func run() async throws {
        let claims = try ClaimRules.claims(claim)
        guard !claim.isEmpty || !remove.isEmpty else {
            throw ServiceError(.usage, "nothing to set: use --claim KEY=JSON or --remove KEY")
        }
        let (user, accounts) = try await named.find()
        output.print(try await accounts.setClaims(of: user, claims, removing: remove).printable)
    }
}

struct UsersDisable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Stops a user from logging in, and ends their sessions.")

    @OptionGroup var named: NamedUserOptions

    func run() async throws {
        let (user, accounts) = try await named.find()
        try await accounts.setDisabled(user, true)
    }
}

struct UsersEnable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Lets a disabled user log in again.")

    @OptionGroup var named: NamedUserOptions

    func run() async throws {
        let (user, accounts) = try await named.find()
        try await accounts.setDisabled(user, false)
    }
}

struct UsersRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forgets a user and their sessions.")

    @OptionGroup var named: NamedUserOptions

    func run() async throws {
        let (user, accounts) = try await named.find()
        try await accounts.remove(user)
    }
}
