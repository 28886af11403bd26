import ArgumentParser
import KeyService
import TokenService

struct KeysReencrypt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reencrypt", abstract: "Encrypts every private key under the first line of the master secret.")

    @OptionGroup var options: KeyOptions

    func run() async throws {
        let count = try await options.administration().administration.reencrypt()
        try await options.audit(.keysReencrypted, [nil])
        Console.print("encrypted \(count) private keys under the first line of the master secret")
    }
}

struct KeysMigrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Copies every key from where they are to a folder or the database.",
        discussion:
            "Stop the servers first, and set keys to the new place before they start again: a key that one of them made at "
            + "the old place meanwhile would be missing at the new one. The keys at the old place stay there.")

    @OptionGroup var options: KeyOptions

    @Option(help: "The path of a folder, or database.", completion: .directory)
    var to: String

    func run() async throws {
        let (settings, installation, _) = try options.shared.installation()
        guard to != settings.keys else { throw ServiceError(.usage, "--to \(to): the keys are there already") }
        let secret = try installation.masterSecret(creating: false)
        let source = try await installation.keyStore(secret: secret)
        let target = try await installation.keyStore(secret: secret, at: to, creating: true)
        let texts = try await source.texts()
        try await target.adopt(texts)
        try await options.audit(.keysMigrated, [nil])
        Console.print("copied \(texts.count) keys; now set keys to \(to)")
    }
}
