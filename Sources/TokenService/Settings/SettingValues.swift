internal import Configuration
internal import Foundation
internal import Storage
internal import Yams

/// Where settings come from, in their order: flag, environment, config file, default.
public struct SettingValues: Sendable {
    /// A setting that was given, or its default.
    public struct Value: Sendable {
        public let name: String
        /// The text; `nil` for a default that follows from something else.
        public let text: String?
        /// `flag`, `environment`, the path of the file, or `default`.
        public let origin: String

        /// The text without the password of a URL.
        public var masked: String? { text.map(DatabaseAddress.masked) }
    }

    /// Every setting, in the order of the table.
    public let all: [Value]
    /// What an operator should know, but that doesn't stop the program.
    public let warnings: [String]

    /// Gathers the settings.
    ///
    /// - Parameters:
    ///   - flags: those given, by the setting's name.
    ///   - environment: all variables; the ones that don't start with `TOKEN_SERVICE_` are passed over.
    ///   - file: the path of a YAML file.
    /// - Throws: ``ServiceError`` with status 78 for a file that can't be read or has an unknown key.
    public init(flags: [String: String], environment: [String: String], file: String?) throws {
        let known = Set(SettingDefinition.table.map(\.name))
        let prefix = SettingDefinition.environmentPrefix
        let variables = Set(SettingDefinition.table.map(\.environmentVariable))
        warnings = environment.keys.filter { $0.hasPrefix(prefix) && !variables.contains($0) }.sorted()
            .map { "there is no setting for the environment variable \($0); it is ignored" }

        var layers: [(origin: String, snapshot: any ConfigSnapshot)] = [
            (
                "flag",
                InMemoryProvider(
                    values: Dictionary(
                        uniqueKeysWithValues: flags.map {
                            (AbsoluteConfigKey([$0]), ConfigValue(.string($1), isSecret: false))
                        }
                    )
                ).snapshot()
            ),
            (
                "environment",
                EnvironmentVariablesProvider(
                    environmentVariables: Dictionary(
                        uniqueKeysWithValues: environment.filter { $0.key.hasPrefix(prefix) }
                            .map { (String($0.dropFirst(prefix.count)), $1) })
                ).snapshot()
            ),
        ]
        if let file { layers.append((file, try Self.read(file, known: known))) }

        all = try SettingDefinition.table.map { definition in
            for (origin, snapshot) in layers {
                if let text = try Self.text(of: definition.name, in: snapshot, origin: origin) {
                    return Value(name: definition.name, text: text, origin: origin)
                }
            }
            return Value(name: definition.name, text: definition.defaultText, origin: "default")
        }
    }

    private static func read(_ file: String, known: Set<String>) throws -> YAMLSnapshot {
        func unreadable(_ problem: String) -> ServiceError {
            ServiceError(.configuration, "the config file \(file) can't be read: \(problem)")
        }
        guard let data = FileManager.default.contents(atPath: file) else {
            throw unreadable(FileManager.default.fileExists(atPath: file) ? "is it a file?" : "there is no such file")
        }
        let keys: [String]
        let snapshot: YAMLSnapshot
        do {
            // Comments only are an empty mapping.
            let root = try Yams.Parser(yaml: data).singleRoot()
            let isEmpty = root == nil || root?.scalar?.string.isEmpty == true
            guard let mapping = isEmpty ? Node.Mapping([]) : root?.mapping else {
                throw unreadable("it isn't a list of `setting: value` lines")
            }
            keys = mapping.keys.map { $0.string ?? "?" }
            if let nested = mapping.first(where: { $0.value.mapping != nil }) {
                throw ServiceError(
                    .configuration, "\(nested.key.string ?? "?"): its value in \(file) isn't text or a list of text")
            }
            let text = mapping.isEmpty ? Data("{}".utf8) : data
            snapshot = try YAMLSnapshot(data: text.span.bytes, providerName: file, parsingOptions: .default)
        } catch let error as ServiceError {
            throw error
        } catch let error as YamlError {
            throw unreadable(problem(error))
        } catch {
            throw unreadable("it isn't YAML that this program knows")
        }
        if let unknown = keys.first(where: { !known.contains($0) }) {
            throw ServiceError(
                .configuration,
                "the config file \(file) has the unknown setting \(unknown); config show lists those there are")
        }
        return snapshot
    }

    /// What is wrong with a file. Yams itself would show the lines around it, with their values, which may be secret.
    private static func problem(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping(let names, _): "\(names.joined(separator: ", ")): there more than once"
        default: "it isn't YAML"
        }
    }

    private static func text(of name: String, in snapshot: any ConfigSnapshot, origin: String) throws -> String? {
        let key = AbsoluteConfigKey([name])
        if let value = try? snapshot.value(forKey: key, type: .string).value, case .string(let text) = value.content {
            return text
        }
        do {
            // A list in the file is the same as its elements with commas between them.
            guard case .stringArray(let elements) = try snapshot.value(forKey: key, type: .stringArray).value?.content
            else {
                return nil
            }
            guard ["algorithms", "trusted-proxies", "cors-origins"].contains(name) else {
                throw ServiceError(.configuration, "\(name): a list (from \(origin)), where one text is meant")
            }
            return elements.joined(separator: ",")
        } catch let error as ServiceError {
            throw error
        } catch {
            throw ServiceError(.configuration, "the setting \(name) (from \(origin)) isn't text or a list of text")
        }
    }
}
