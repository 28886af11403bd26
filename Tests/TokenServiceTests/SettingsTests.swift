import ArgumentParser
import Foundation
import JOSE
import KeyService
import Testing

@testable import TokenService
@testable import TokenServiceCommand

@Suite("Settings")
struct SettingsTests {
    private func settings(_ flags: [String: String] = [:], environment: [String: String] = [:], file: String? = nil)
        throws
        -> Settings
    {
        guard let file else { return try Settings(SettingValues(flags: flags, environment: environment, file: nil)) }
        let path = FileManager.default.temporaryDirectory.appending(path: "settings-\(UUID()).yaml").path
        try file.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try Settings(SettingValues(flags: flags, environment: environment, file: path))
    }

    @Test("every setting of the table is a flag of serve, and the reverse")
    func flags() throws {
        let serve = try Serve.parse(SettingDefinition.table.flatMap { ["--" + $0.name, "value of " + $0.name] })
        let given = serve.settings.flags.merging(serve.shared.flags) { $1 }.compactMapValues(\.self)
        let expected = Dictionary(
            uniqueKeysWithValues: SettingDefinition.table.map { ($0.name, "value of " + $0.name) })
        #expect(given == expected)
    }

    @Test("the defaults are INTERFACE's")
    func defaults() throws {
        let settings = try settings()
        #expect(settings.listen.host == "127.0.0.1")
        #expect(settings.keySchedule.publishAhead == .seconds(3600))
        #expect(settings.keySchedule.rotateEvery == .seconds(30 * 86_400))
        #expect(settings.refreshTokenIdleLifetime == .seconds(14 * 86_400))
        #expect(settings.passwordCost == PasswordCost(memory: 19 * 1024, iterations: 2))
    }

    @Test("a flag goes before the environment, that before the file, that before the default")
    func precedence() throws {
        let environment = ["TOKEN_SERVICE_RSA_BITS": "3072"]
        let file = "rsa-bits: 4096\n"
        #expect(try settings(["rsa-bits": "2560"], environment: environment, file: file).keySchedule.rsaBits == 2560)
        #expect(try settings(environment: environment, file: file).keySchedule.rsaBits == 3072)
        #expect(try settings(file: file).keySchedule.rsaBits == 4096)
        #expect(try settings().keySchedule.rsaBits == 2048)
    }

    @Test("the file may hold a list, and may hold nothing", arguments: ["algorithms: [RS256, ES256]", "# nothing", ""])
    func files(file: String) throws {
        let names = try settings(file: file).keySchedule.algorithms.map(\.name)
        #expect(names == (file.isEmpty || file.hasPrefix("#") ? ["ES256", "RS256"] : ["RS256", "ES256"]))
    }

    @Test(
        "what can't be read is refused by name",
        arguments: [
            ("listen", "8080"), ("listen", "a:b:1"), ("listen", "127.0.0.1:99999"), ("issuer", "id.example"),
            ("issuer", "https://id.example/?q"), ("issuer", "https://u:p@id.example"),
            ("refresh-token-lifetime", "0"), ("database", "mysql://x"), ("algorithms", "HS256"),
            ("algorithms", "ES256,ES256"),
            ("algorithms", ""), ("rsa-bits", "1024"), ("rsa-bits", "4097"), ("rotate-every", "30"),
            ("rotate-every", "-1d"),
            ("publish-ahead", "1 h"), ("access-token-lifetime", "59s"), ("access-token-lifetime", "61m"),
            ("refresh-grace", "301s"), ("password-memory", "19"), ("password-iterations", "0"),
            ("allow-plain-http", "yes"),
            ("log-level", "loud"), ("log-format", "xml"), ("jwks-max-age", "99999999999d"),
        ])
    func unreadable(name: String, text: String) throws {
        let error = #expect(throws: ServiceError.self) { try settings([name: text]) }
        #expect(error?.status == .configuration)
        #expect(error?.description.hasPrefix(name) == true)
    }

    @Test("combinations that break a rule are refused")
    func combinations() throws {
        for flags in [
            ["publish-ahead": "359s"], ["jwks-max-age": "1h"], ["rotate-every": "59m"], ["listen": "0.0.0.0:80"],
            ["listen": "127.evil.example:80"], ["password-memory": "1GiB", "password-iterations": "5"],
        ] {
            #expect(throws: ServiceError.self) { try settings(flags) }
        }
        _ = try settings(["publish-ahead": "360s"])
        _ = try settings(["listen": "0.0.0.0:80", "allow-plain-http": "on"])
    }

    @Test("a password in a URL is masked")
    func masked() throws {
        let values = try SettingValues(
            flags: ["database": "postgres://user:secret@host/db"], environment: [:], file: nil)
        #expect(values.all.first { $0.name == "database" }?.masked == "postgres://user:***@host/db")
    }

    @Test("an unknown key in the file stops the start, an unknown variable is warned about")
    func unknown() throws {
        #expect(throws: ServiceError.self) { try settings(file: "rsa-bit: 2048") }
        let values = try SettingValues(
            flags: [:], environment: ["TOKEN_SERVICE_PORT": "tcp://10.0.0.1", "OTHER": "x"], file: nil)
        #expect(values.warnings.count == 1)
        #expect(values.warnings[0].contains("TOKEN_SERVICE_PORT"))
    }
}
