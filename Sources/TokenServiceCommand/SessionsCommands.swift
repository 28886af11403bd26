import ArgumentParser
import JOSE
import Storage
import TokenService

struct SessionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions", abstract: "Lists and ends the sessions of users.",
        subcommands: [SessionsList.self, SessionsRevoke.self])
}

struct SessionsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the live sessions, the youngest first.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "Only those of this user.")
    var user: String?

    func run() async throws {
        let (settings, installation, _) = try shared.installation()
        let database = try await installation.database(creating: false)
        let userID = try await user.find(in: database)
        let sessions = try await SessionStore(database: database, settings: settings)
            .sessions(ofUser: userID, at: Clock.now())
        output.print(sessions.map(\.members))
    }
}

struct SessionsRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Ends a session, the sessions of a user, or all of them.",
        discussion:
            "Services that check the status list refuse the access tokens within status-ttl and two seconds, others "
            + "once they expire. After the database was restored from a copy, --all ends what the copy brought back.")

    @OptionGroup var shared: SharedOptions

    @Argument(help: "The id of a session, the sid of its tokens.")
    var id: String?

    @Option(help: "End the sessions of this user.")
    var user: String?

    @Flag(help: "End every session.")
    var all = false

    func validate() throws {
        guard [id != nil, user != nil, all].count(where: \.self) == 1 else {
            throw ValidationError("name one of: the ID of a session, --user NAME, --all")
        }
    }

    func run() async throws {
        let (settings, installation, _) = try shared.installation()
        let database = try await installation.database(creating: false)
        let store = SessionStore(database: database, settings: settings)
        let now = Clock.now()
        func record(subject: String? = nil, session: String? = nil) -> AuditRecord {
            AuditRecord(.sessionsRevoked, by: Operator.current, subject: subject, session: session, at: now)
        }
        let count: Int
        if let id {
            count = try await store.revoke(sessionID: id, audit: record(session: id), at: now)
            guard count > 0 else {
                throw ServiceError(.failed, "there is no live session \(id); sessions list shows those there are")
            }
        } else if let userID = try await user.find(in: database) {
            count = try await store.revoke(userID: userID, audit: record(subject: userID), at: now)
        } else {
            count = try await store.endAll(audit: record(), at: now)
        }
        Console.print("ended \(count) session\(count == 1 ? "" : "s")")
    }
}

extension String? {
    /// The id of the user with this name, if one is given.
    ///
    /// - Throws: ``ServiceError`` where there is no such user.
    fileprivate func find(in database: any Database) async throws -> String? {
        guard let name = self else { return nil }
        return try await UserStore(database: database).find(name).id
    }
}
