import ArgumentParser
import JOSE
import TokenService

struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients", abstract: "Adds and changes the machine clients, which get tokens of their own.",
        subcommands: [ClientsAdd.self, ClientsList.self, ClientsRotateSecret.self, ClientsRemove.self])
}

/// What the client commands share.
struct ClientOptions: ParsableArguments {
    @OptionGroup var shared: SharedOptions

    /// - Parameter creating: whether the command may be the first of a service, and make its database.
    func administration(creating: Bool = false) async throws -> ClientAdministration {
        let (settings, installation, _) = try shared.installation()
        let database = try await installation.database(creating: creating)
        return ClientAdministration(
            store: ClientStore(database: database), settings: settings, actor: Operator.current, now: Clock.now)
    }
}

/// One client, which has to be there.
struct NamedClientOptions: ParsableArguments {
    @OptionGroup var options: ClientOptions

    @Argument(help: "The client_id, or the name.")
    var id: String

    func find() async throws -> (client: Client, administration: ClientAdministration) {
        let administration = try await options.administration()
        return (try await administration.store.find(id), administration)
    }
}

/// The text of a file with a public key.
private func readKey(_ file: String?) throws -> String? {
    try file.map { String(decoding: try Console.readFile($0, limit: 64 * 1024), as: UTF8.self) }
}

struct ClientsAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds a client; prints its id and, this once, its secret.",
        discussion:
            "It asks for tokens at /oauth2/token. Its secret is kept as a hash; with --public-key it has none, and signs "
            + "assertions (private_key_jwt) with a key that is its alone.")

    @OptionGroup var options: ClientOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "What operators call it.")
    var name: String

    @Option(help: "A scope that it may ask for. Repeats.")
    var scope: [String] = []

    @Option(help: "An audience that it may ask for; the first is the default. Repeats. (default: the setting audience)")
    var audience: [String] = []

    @Option(help: "Sign its tokens with this algorithm. (default: the first of the setting algorithms)")
    var algorithm: String?

    @Option(help: "How long its tokens are good for, at most the setting of that name.")
    var accessTokenLifetime: String?

    @Option(help: "A file with its public key, PEM or JWK, instead of a secret.", completion: .file())
    var publicKey: String?

    @Option(
        help: ArgumentHelp(
            "introspect: ask what any token is worth; revoke: end others' tokens and sessions; exchange: swap any token "
                + "of this service for one of its own audiences. Repeats.", valueName: "permission"))
    var may: [String] = []

    func run() async throws {
        var request = ClientAdministration.Request(name: name)
        request.scopes = scope
        request.audiences = audience
        request.algorithm = algorithm
        request.tokenLifetime = accessTokenLifetime
        request.permissions = may
        request.publicKey = try readKey(publicKey)
        output.print(try await options.administration(creating: true).add(request).members)
    }
}

struct ClientsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the clients by name.")

    @OptionGroup var options: ClientOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        output.print(try await options.administration().store.clients().map(\.members))
    }
}

struct ClientsRotateSecret: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-secret", abstract: "Gives a client another secret or key; the one before stays good.",
        discussion:
            "Two are valid until the rotation is finished: run it, give the new secret to the service, then run it with "
            + "--finish. A third one drops the oldest.")

    @OptionGroup var named: NamedClientOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "A file with the next public key of a client that has one.", completion: .file())
    var publicKey: String?

    @Flag(help: "Drop the older of the two, and make none.")
    var finish = false

    @Flag(help: "Drop all others at once, and end the tokens that are out: for a secret that leaked.")
    var immediately = false

    func validate() throws {
        guard !finish || publicKey == nil && !immediately else {
            throw ValidationError("--finish goes with neither --public-key nor --immediately")
        }
    }

    func run() async throws {
        let (client, administration) = try await named.find()
        if finish {
            output.print(try await administration.finishRotation(client).members)
        } else {
            let key = try readKey(publicKey)
            output.print(try await administration.rotate(client, publicKey: key, immediately: immediately).members)
        }
    }
}

struct ClientsRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forgets a client, and ends its tokens.",
        discussion:
            "Services that check the status list refuse them within status-ttl and two seconds, others once they expire. "
            + "Tokens that the client got in exchange for a user's end with that user's session.")

    @OptionGroup var named: NamedClientOptions

    func run() async throws {
        let (client, administration) = try await named.find()
        try await administration.remove(client)
    }
}
