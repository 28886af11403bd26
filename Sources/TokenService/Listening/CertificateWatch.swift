internal import JOSE
internal import Logging

/// Reads the certificate again when its files change, and says when it expires.
actor CertificateWatch {
    private enum Validity { case long, ending, over }

    nonisolated let certificate: ServerCertificate
    private let now: @Sendable () -> Instant
    private let logger: Logger
    private var validity = Validity.long

    /// How long before its end an unchanged certificate is worth a warning: those that are good for 90 days are renewed when
    /// 30 are left.
    private static let notice = Duration.seconds(14 * 86_400)

    init(_ certificate: ServerCertificate, now: @escaping @Sendable () -> Instant, logger: Logger) {
        self.certificate = certificate
        self.now = now
        self.logger = logger
    }

    var expiresAt: Instant { certificate.expiresAt }

    /// Looks whether the files changed.
    func look() { read { try certificate.look() } }

    /// Reads the files again, changed or not.
    func reload() { read { try certificate.reload() } }

    private func read(_ body: () throws -> Bool) {
        do {
            if try body() {
                logger.notice("took the new certificate", metadata: ["expires_at": "\(certificate.expiresAt)"])
            }
        } catch {
            logger.error("the certificate stays as it was: \(error)")
        }
        checkValidity()
    }

    private func checkValidity() {
        let (expiresAt, now) = (certificate.expiresAt, now())
        let current: Validity = now >= expiresAt ? .over : now + Self.notice >= expiresAt ? .ending : .long
        defer { validity = current }
        guard current != validity else { return }
        let wayOut = "renew it: tls-certificate and tls-key are read again when they change"
        switch current {
        case .long: break
        case .ending: logger.warning("the certificate expires at \(expiresAt); \(wayOut)")
        case .over: logger.error("the certificate expired at \(expiresAt), and clients refuse it; \(wayOut)")
        }
    }
}
