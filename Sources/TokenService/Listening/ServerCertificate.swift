internal import Foundation
internal import JOSE
internal import KeyService
internal import NIOCore
internal import NIOSSL

/// The certificate that the server shows and its key, read from their files and again when those change. Connections that
/// are there keep theirs.
public final class ServerCertificate: Sendable {
    /// The files, in PEM.
    struct Paths: Sendable {
        /// The server's certificate, and behind it those that lead to the root.
        let certificate: String
        let key: String
    }

    /// What was read.
    private struct Identity {
        let chain: [NIOSSLCertificateSource]
        let key: NIOSSLPrivateKeySource
        let expiresAt: Instant
    }

    private struct State {
        var identity: Identity
        /// The files that the identity comes from.
        var loaded: [FileStamp]
        /// The files at the last look.
        var seen: [FileStamp]
    }

    private let paths: Paths
    private let state: Locked<State>

    /// Reads the files that the settings name.
    ///
    /// - Returns: `nil` where they name none.
    /// - Throws: ``ServiceError`` with status 78 that names the setting.
    public convenience init?(_ settings: Settings) throws {
        guard let paths = settings.certificate else { return nil }
        try self.init(paths)
    }

    init(_ paths: Paths) throws {
        self.paths = paths
        let stamps = Self.stamps(paths)
        state = Locked(State(identity: try Self.read(paths), loaded: stamps, seen: stamps))
    }

    /// The end of the certificate's validity.
    var expiresAt: Instant { state.withLock { $0.identity.expiresAt } }

    /// Reads the files again where they changed, but not before they are the same at two looks: whoever renews a
    /// certificate writes one file after the other.
    ///
    /// - Returns: whether there is another certificate now.
    /// - Throws: ``ServiceError``; the certificate stays as it was, and the files are read again when they change again.
    func look() throws -> Bool {
        let stamps = Self.stamps(paths)
        let isDue = state.withLock { state in
            defer { state.seen = stamps }
            return stamps == state.seen && stamps != state.loaded
        }
        return try isDue && reload()
    }

    /// Reads the files again.
    ///
    /// - Returns: whether there is another certificate now.
    /// - Throws: ``ServiceError``; the certificate stays as it was.
    func reload() throws -> Bool {
        let stamps = Self.stamps(paths)
        // What can't be read isn't tried again before it changes.
        state.withLock { $0.loaded = stamps }
        let identity = try Self.read(paths)
        return state.withLock { state in
            defer { state.identity = identity }
            return state.identity.chain != identity.chain
        }
    }

    /// TLS 1.2 and 1.3, with forward secrecy and authenticated encryption only.
    var configuration: TLSConfiguration {
        let identity = state.withLock { $0.identity }
        var configuration = Self.configuration(identity)
        configuration.sslContextCallback = { [self] _, promise in
            let identity = state.withLock { $0.identity }
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = identity.chain
            override.privateKey = identity.key
            promise.succeed(override)
        }
        return configuration
    }

    private static func configuration(_ identity: Identity) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: identity.chain, privateKey: identity.key)
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuiteValues = [
            .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]
        return configuration
    }

    private static func read(_ paths: Paths) throws -> Identity {
        func bytes(_ setting: String, _ path: String) throws -> [UInt8] {
            do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
                throw ServiceError(
                    .configuration,
                    "\(setting): can't read \(path): name a file that the service may read "
                        + "(\((error as NSError).localizedDescription))")
            }
        }
        let (certificateBytes, keyBytes) = (
            try bytes("tls-certificate", paths.certificate), try bytes("tls-key", paths.key)
        )
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(certificateBytes), let first = certificates.first
        else {
            throw ServiceError(
                .configuration,
                "tls-certificate: \(paths.certificate) has no certificate in PEM: it should begin with "
                    + "-----BEGIN CERTIFICATE-----, the server's first, and those that lead to the root behind it")
        }
        guard let key = try? NIOSSLPrivateKey(bytes: keyBytes, format: .pem) else {
            throw ServiceError(
                .configuration,
                "tls-key: \(paths.key) has no private key in PEM that can be opened without a passphrase")
        }
        let identity = Identity(
            chain: certificates.map { .certificate($0) }, key: .privateKey(key),
            expiresAt: Instant(Date(timeIntervalSince1970: TimeInterval(first.notValidAfter))))
        // Notices a key of another certificate.
        guard (try? NIOSSLContext(configuration: configuration(identity))) != nil else {
            throw ServiceError(
                .configuration,
                "tls-key: \(paths.key) isn't the key of the first certificate in \(paths.certificate): name the two that "
                    + "belong together")
        }
        return identity
    }

    private static func stamps(_ paths: Paths) -> [FileStamp] {
        [FileStamp(path: paths.certificate), FileStamp(path: paths.key)]
    }
}
