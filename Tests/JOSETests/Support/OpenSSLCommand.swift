import Foundation

@testable import JOSE

/// The `openssl` command, as somebody who didn't write this library.
enum OpenSSLCommand {
    /// A folder for one test, gone after it.
    static func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "JOSETests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }

    /// Runs the command on an input, and gives what it wrote; throws where it fails.
    @discardableResult
    static func run(_ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
        try withFolder { folder in
            // Files rather than pipes: a pipe's end could be inherited by the command of a test that runs beside.
            let (source, target) = (folder.appending(path: "in"), folder.appending(path: "out"))
            try Data(input).write(to: source)
            try Data().write(to: target)
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["openssl"] + arguments
            process.standardInput = try FileHandle(forReadingFrom: source)
            process.standardOutput = try FileHandle(forWritingTo: target)
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw Failure(command: arguments.joined(separator: " "), status: process.terminationStatus)
            }
            return Array(try Data(contentsOf: target))
        }
    }

    static func text(_ arguments: [String], input: String = "") throws -> String {
        String(decoding: try run(arguments, input: Array(input.utf8)), as: UTF8.self)
    }

    struct Failure: Error {
        let command: String
        let status: Int32
    }
}
