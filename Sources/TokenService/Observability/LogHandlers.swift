internal import Foundation
internal import JOSE
public import Logging

extension LogFormat {
    /// Writes log lines to standard error.
    public func handler(label: String, level: Logger.Level) -> any LogHandler {
        var handler: any LogHandler = self == .json ? JSONLogHandler() : StreamLogHandler.standardError(label: label)
        handler.logLevel = level
        handler.metadataProvider = .trace
        return handler
    }
}

/// One JSON object a line.
private struct JSONLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line: JSONObject = [
            "time": .string(Instant(Date()).description), "level": .string(event.level.rawValue),
            "message": .string("\(event.message)"),
        ]
        let all = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }.merging(event.metadata ?? [:]) { $1 }
        for (name, value) in all.sorted(by: { $0.key < $1.key }) where line[name] == nil {
            line[name] = .string("\(value)")
        }
        // Who reads the log may have gone.
        try? FileHandle.standardError.write(contentsOf: Data(line.json + [UInt8(ascii: "\n")]))
    }
}
