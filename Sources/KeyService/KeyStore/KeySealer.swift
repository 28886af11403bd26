internal import JOSE

/// Locks keys under the master secret, and opens them, wherever they rest.
struct KeySealer: Sendable {
    private let secret: MasterSecret
    private let authenticationKeys: [SecretBytes]

    init(_ secret: MasterSecret) throws {
        self.secret = secret
        authenticationKeys = try KeyFile.authenticationKeys(secret)
    }

    /// Reads a key's file; its private half stays closed.
    ///
    /// - Throws: as ``KeyFile/init(text:keys:)``.
    func read(_ text: String) throws -> KeyFile { try KeyFile(text: text, keys: authenticationKeys) }

    /// The text of a key's file, authenticated under the current line.
    func text(_ file: KeyFile) throws -> String { try file.text(key: authenticationKeys[0]) }

    /// A record with its private half locked, or with its public key where it has none.
    func seal(_ record: KeyRecord, _ key: PrivateKey?) throws -> KeyFile {
        KeyFile(record: record, pem: try key?.pkcs8PEM(passphrase: secret.current) ?? record.publicKey.pem())
    }

    /// The file as the current line locks it.
    func reseal(_ file: KeyFile, name: String) throws -> KeyFile {
        file.record.hasPrivateKey ? try seal(file.record, open(file, name: name)) : file
    }

    /// The private half.
    ///
    /// - Parameter name: of the file or the row, for errors.
    /// - Throws: ``KeyServiceError`` `masterSecret` where no line opens it, `storage` where it isn't there or damaged.
    func open(_ file: KeyFile, name: String) throws -> PrivateKey {
        guard file.record.hasPrivateKey else {
            throw KeyServiceError(.storage, "\(name) has no private half any more")
        }
        var failure: any Error = KeyServiceError(.masterSecret, "\(name) isn't opened by the master secret")
        for line in secret.lines {
            do {
                let key = try PrivateKey(trustedPEM: file.pem, passphrase: line)
                guard key.publicKey == file.record.publicKey else {
                    throw KeyServiceError(.storage, "\(name) holds another key's private half")
                }
                return key
            } catch let error as JOSEError where error.code == .wrongPassphrase {
                continue
            } catch let error as JOSEError {
                failure = KeyServiceError(.storage, "\(name) has a damaged private half: \(error)")
            }
        }
        throw failure
    }
}
