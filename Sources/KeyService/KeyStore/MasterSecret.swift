internal import Foundation
package import JOSE

/// The secret that everything at rest hangs on: lines of text, of which the first is current and the rest still open
/// what they locked.
public struct MasterSecret: Sendable {
    package let lines: [SecretBytes]

    /// The shortest line, in bytes: 16 random ones in hexadecimal.
    public static let minimumLength = 32
    /// The longest line: the openssl command reads no more of a pass phrase file's line.
    public static let maximumLength = 1000
    /// The most lines.
    public static let maximumLines = 16

    /// The line that encrypts.
    package var current: SecretBytes { lines[0] }

    /// Reads the text of a master secret file.
    ///
    /// - Throws: ``KeyServiceError`` `masterSecret`.
    public init(text: String) throws {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .reversed().drop { $0.isEmpty }.reversed()
        func refused(_ problem: String) -> KeyServiceError {
            KeyServiceError(.masterSecret, "master-secret-file: \(problem); make one with: openssl rand -hex 32")
        }
        guard !lines.isEmpty else { throw refused("the file is empty") }
        guard lines.count <= Self.maximumLines else { throw refused("more than \(Self.maximumLines) lines") }
        for (index, line) in lines.enumerated() {
            guard line.utf8.count >= Self.minimumLength else {
                throw refused("line \(index + 1) is shorter than \(Self.minimumLength) characters")
            }
            guard line.utf8.count <= Self.maximumLength else {
                throw refused("line \(index + 1) is longer than \(Self.maximumLength) characters")
            }
            guard line.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw refused("line \(index + 1) has a space, a control character or a letter outside ASCII")
            }
        }
        self.lines = lines.map { SecretBytes($0.utf8) }
    }

    /// Reads a master secret file.
    ///
    /// - Throws: ``KeyServiceError`` `masterSecret` where it can't be read or is refused.
    public init(file path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw KeyServiceError(
                .masterSecret,
                "master-secret-file: can't read \(path): "
                    + (access(path, F_OK) == 0 ? String(cString: strerror(errno)) : "there is no such file"))
        }
        guard data.count <= Self.maximumLines * (Self.maximumLength + 1), let text = String(data: data, encoding: .utf8)
        else { throw KeyServiceError(.masterSecret, "master-secret-file: \(path) isn't a short text file") }
        try self.init(text: text)
    }

    /// Makes a master secret file, readable by its owner only: 32 random bytes in hexadecimal. Does nothing where there
    /// is a file already.
    ///
    /// - Returns: whether it made one.
    public static func create(file path: String) throws -> Bool {
        let text = try randomBytes(32).map { String(format: "%02x", $0) }.joined() + "\n"
        return try DurableFile.create(path, contents: Array(text.utf8))
    }

    /// A key for one purpose from each line, the current one first.
    package func keys(for purpose: String) throws -> [SecretBytes] {
        try lines.map { try HKDF.key(from: $0, info: "token-service \(purpose)") }
    }
}
