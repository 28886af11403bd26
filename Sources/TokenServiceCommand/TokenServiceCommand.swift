public import ArgumentParser
import Foundation
import JOSE
import KeyService
import Storage
import TokenService
import TokenVerifier

/// The command line of the service.
public struct TokenServiceCommand: AsyncParsableCommand {
    public init() {}

    public static let configuration = CommandConfiguration(
        commandName: "token-service",
        abstract: "Signs access tokens, publishes the keys that verify them, and rotates the keys.",
        discussion:
            "To begin: token-service serve. Exit status: 0 done, 1 failed, 64 wrong usage, 69 the database can't be "
            + "reached, 78 bad configuration.",
        version: version,
        subcommands: [
            Serve.self, Keys.self, Users.self, ClientsCommand.self, SessionsCommand.self, Token.self, JWSCommand.self,
            DoctorCommand.self, DatabaseCommand.self, Audit.self, Config.self,
        ])

    /// Runs the command that the process was started with, and ends the process.
    public static func main() async {
        // A reader that goes away is an error of write, not the end of the program.
        signal(SIGPIPE, SIG_IGN)
        // Who may not raise a thread's priority would get a line in syslog for each.
        setenv("LIBDISPATCH_LOG", "NO", 0)
        do {
            var command = try parseAsRoot(Self.reordered(Array(CommandLine.arguments.dropFirst())))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            guard let status = Self.status(of: error) else { exit(withError: error) }
            Console.error("error: " + Self.line(of: error))
            end(status.rawValue)
        }
        end(0)
    }

    /// Ends the process without the C library's clean-up: OpenSSL's would free what a thread may still be using.
    private static func end(_ status: Int32) -> Never {
        fflush(nil)
        _exit(status)
    }

    /// What an error says, in one line whatever was typed or read.
    private static func line(of error: any Error) -> String {
        let scalars = "\(error)".unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
        return String(String.UnicodeScalarView(scalars)).replacing(/\ {2,}/, with: " ")
    }

    /// Puts a `kid` or the id of a session or a client that starts with a hyphen, as one in 64 does, where it isn't taken
    /// for an option: at the end, behind `--`.
    static func reordered(_ arguments: [String]) -> [String] {
        guard !arguments.contains("--"),
            let index = arguments.firstIndex(where: {
                $0.wholeMatch(of: /-[A-Za-z0-9_-]{21}([A-Za-z0-9_-]{21})?/) != nil
                    // An option may be as long: --password-concurrency.
                    && $0.wholeMatch(of: /--[a-z-]+/) == nil
            }),
            index > 0, !arguments[index - 1].hasPrefix("--")
        else { return arguments }
        return arguments[..<index] + arguments[(index + 1)...] + ["--", arguments[index]]
    }

    /// The exit status for an error of ours; `nil` for those of the argument parser.
    private static func status(of error: any Error) -> ServiceError.Status? {
        switch error {
        case let error as ServiceError: error.status
        case let error as KeyServiceError:
            [.badSettings, .masterSecret, .keysMissing].contains(error.code) ? .configuration : .failed
        case let error as StorageError:
            switch error.code {
            case .unavailable: .unavailable
            case .badAddress: .configuration
            default: .failed
            }
        case is JOSEError, is VerifierUnavailable: .failed
        case is CancellationError: .failed
        default: nil
        }
    }
}
