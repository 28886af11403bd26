import ArgumentParser
import JOSE
import TokenService

struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the settings.", subcommands: [ConfigShow.self])
}

struct ConfigShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Prints every setting, its value and where it came from.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let values = try shared.values()
        output.print(
            values.all.map { value in
                [
                    "setting": .string(value.name), "value": value.masked.map { .string($0) } ?? .null,
                    "from": .string(value.origin),
                ]
            })
        // What can't be read is printed, and then said.
        _ = try Settings(values)
    }
}
