import ArgumentParser
import JOSE
import KeyService
import Logging
import TokenService
import TokenVerifier

struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads and verifies a token on standard input.",
        subcommands: [TokenInspect.self, TokenVerify.self])

    static func readToken() throws -> String {
        String(decoding: try Console.readInput(limit: JWS.maximumTokenSize), as: UTF8.self)
    }
}

struct TokenInspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Prints what a token says, without verifying it.")

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let jws = try JWS(compact: try Token.readToken())
        output.print(["header": .object(jws.header.members), "claims": try JSONValue(json: jws.payload)])
        Console.error("the signature was not verified; token verify does that")
    }
}

struct TokenVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Verifies a token as a microservice would, and prints its claims.",
        discussion:
            "With --jwks it reads the status list that the token names, too; without, it knows of no ended session.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Where the issuer publishes its keys; without it the own keys are used.")
    var jwks: String?

    @Option(help: "The issuer to expect. (default: the setting issuer, or the listening URL)")
    var issuer: String?

    @Option(help: "The audience to expect. (default: the setting audience, or the issuer)")
    var audience: String?

    func run() async throws {
        let token = try Token.readToken()
        let (settings, installation, _) = try shared.installation(["issuer": issuer, "audience": audience])
        let now = Clock.now()
        let keys: any KeySource
        if let jwks {
            keys = try RemoteKeySource(url: jwks, logger: Self.silent)
        } else {
            let store = try await installation.keyStore(secret: installation.masterSecret(creating: false))
            let planner = KeyPlanner(schedule: settings.keySchedule)
            let ring = try await KeyAdministration(store: store, planner: planner, now: Clock.now).list().ring
            keys = PublishedKeys(JWKSet(ring.published(at: now).map(\.jwk)))
        }
        let expectedIssuer = settings.expectedIssuer
        let policy = JWTPolicy(
            issuer: expectedIssuer, audiences: [settings.audience ?? expectedIssuer],
            leeway: settings.keySchedule.clockLeeway)
        do {
            let verifier = TokenVerifier<NoClaims>(policy: policy, keys: keys, statuses: nil)
            let claims = try await verifier.verify(token).get().claims.members
            if jwks != nil {
                try await checkStatus(
                    claims, RemoteStatusLists(issuer: expectedIssuer, keys: keys, logger: Self.silent))
            }
            Console.print(claims.jsonText)
        } catch let rejection as TokenRejection {
            throw ServiceError(.failed, rejection.reason)
        }
    }

    /// What fails ends in one line of the command's own.
    private static let silent = Logger(label: "token-service") { _ in SwiftLogNoOpLogHandler() }
}

/// Looks whether a token's session was ended; where that can't be told, says so.
private func checkStatus(_ claims: JSONObject, _ lists: RemoteStatusLists) async throws {
    guard let reference = StatusListReference(claim: claims["status"]) else { return }
    do {
        guard try await lists.status(at: reference) == 0 else {
            throw ServiceError(.failed, "the token was ended: its bit in the status list is set")
        }
    } catch let error as VerifierUnavailable {
        Console.error("warning: it isn't known whether the token was ended: \(error)")
    }
}

struct JWSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jws", abstract: "Works on any JWS.", subcommands: [JWSVerify.self])
}

struct JWSVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verifies one compact JWS on standard input, and prints its payload byte for byte.",
        discussion: "Exit status 0 when header and signature are valid, 1 when not.")

    /// The longest JWS, in bytes: its payload may be anything.
    private static let maximumSize = 16 * 1024 * 1024

    @Option(help: "A file with the JWK to verify with.", completion: .file())
    var jwk: String?

    @Option(help: "A file with the JWK Set to verify with.", completion: .file())
    var jwks: String?

    func run() async throws {
        let verify: (JWS) throws -> Void
        switch (jwk, jwks) {
        case (let file?, nil):
            var key = try JWK(json: Console.readFile(file, limit: JWKSet.maximumSize))
            // The caller has chosen the key: what it is called doesn't matter.
            key.keyID = nil
            verify = { [key] in try $0.verify(with: key) }
        case (nil, let file?):
            let set = try JWKSet(json: Console.readFile(file, limit: JWKSet.maximumSize))
            // A kid chooses among the keys that have one.
            verify = { jws in
                let isNamed = !set.keys(for: jws.header).isEmpty
                try jws.verify(
                    with: isNamed
                        ? set
                        : JWKSet(
                            set.keys.filter { $0.keyID == nil }.map { key in
                                var key = key
                                key.keyID = jws.header.keyID
                                return key
                            }))
            }
        default: throw ServiceError(.usage, "use either --jwk FILE or --jwks FILE")
        }
        let jws = try JWS(compact: Console.readInput(limit: Self.maximumSize), maximumSize: Self.maximumSize)
        try verify(jws)
        Console.write(jws.payload)
    }
}
