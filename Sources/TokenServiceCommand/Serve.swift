import ArgumentParser
import CMalloc
import Foundation
import JOSE
import KeyService
import Metrics
import Storage
import TokenService
import TokenVerifier

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the service.",
        discussion:
            "On the first start it makes the master secret, the first keys and the database. A setting is also read "
            + "from the environment (TOKEN_SERVICE_ACCESS_TOKEN_LIFETIME) and from --config.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup(title: "Settings") var settings: ServeOptions

    func run() async throws {
        Self.handleEarlySignals()
        // SQLite's caches are filled by whichever thread it is, and with an arena for each of them (up to eight a core)
        // log-ins alone took half as much memory again. One a core does as well.
        CMalloc_limit_arenas(CInt(clamping: max(2, ProcessInfo.processInfo.activeProcessorCount)))
        let (settings, installation, logger) = try shared.installation(settings.flags)
        // A certificate that doesn't do is noticed before anything is made or changed.
        let certificate = try ServerCertificate(settings)
        // Where there is no key, nothing is made in place of what is only missing; else, a secret that doesn't fit is noticed
        // before anything is made or changed.
        let early = installation.hasEmptyKeyFolder ? try await installation.database(creating: true) : nil
        if let early {
            do { try await installation.refuseToBegin(over: early) } catch {
                // Another node may have made them just now.
                if installation.hasEmptyKeyFolder { throw error }
            }
        }
        let secret = try installation.masterSecret(creating: true)
        let folder = settings.keyFolder == nil ? nil : try await installation.keyStore(secret: secret, creating: true)
        let database = if let early { early } else { try await installation.database(creating: true) }
        await installation.checkClock(database, at: Clock.now())
        let keyStore = if let folder { folder } else { try await installation.keyStore(secret: secret, in: database) }
        let counted = PrometheusMetrics()
        // For what counts by itself: the verifier of the service's own tokens.
        if settings.hasMetrics { MetricsSystem.bootstrap(counted) }
        let server = try await TokenServer(
            settings: settings, secret: secret, database: database, keyStore: keyStore,
            certificate: certificate, counted: counted, now: Clock.now, logger: logger)
        do {
            try await server.run { Console.print("listening on \($0)") }
        } catch {
            try? database.close()
            if error is KeyServiceError || error is StorageError || error is ServiceError { throw error }
            throw ServiceError(
                .failed,
                "can't listen on \(settings.listen.host):\(settings.listen.port): is the port in use, or the host unknown? "
                    + "Choose another one with --listen HOST:PORT (\(error))")
        }
        try database.close()
    }
}

extension Serve {
    /// Until the server runs and sees to them itself: SIGHUP must not end it, there being nothing to read again, and the
    /// others have to, as the first process of a container, too. A start that ends half-way is finished by the next.
    private static func handleEarlySignals() {
        signal(SIGHUP, SIG_IGN)
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
    }
}

/// The clock of the machine.
enum Clock {
    static let now: @Sendable () -> Instant = systemClock
}
