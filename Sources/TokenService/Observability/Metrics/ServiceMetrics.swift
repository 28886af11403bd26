internal import HTTPTypes
internal import JOSE
internal import Metrics
internal import Storage

/// What the service counts while it works, through swift-metrics.
///
/// Every label has few values, all of them the service's own: nothing that a client makes up becomes a series.
final class ServiceMetrics: Sendable {
    private let factory: any MetricsFactory
    private let requests = Locked([RequestKind: Timer]())
    private let tokens = Locked([TokenKind: (Counter, Timer)]())
    private let transactions: [DatabaseAccess: Timer]
    let activeRequests: Meter
    let activeTransactions: Meter
    let connections: Meter
    /// Passwords that are checked or hashed now, or wait for it.
    let passwordQueue: Meter
    private let passwordTime: Timer
    private let passwordsRefused: Counter
    private let requestsRefused: Counter
    private let refreshes: [RefreshOutcome: Counter]

    private struct RequestKind: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    private struct TokenKind: Hashable {
        let algorithm: Algorithm
        let grant: TokenGrant
    }

    /// How a transaction uses the database.
    enum DatabaseAccess: String, CaseIterable { case read, write }

    /// What became of a refresh token.
    enum RefreshOutcome: String, CaseIterable {
        case advanced, repeated, reused, refused
        /// The database had gone back in time.
        case ahead
    }

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        func timer(_ label: String, _ dimensions: [(String, String)] = []) -> Timer {
            Timer(label: label, dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
        }
        transactions = Dictionary(
            uniqueKeysWithValues: DatabaseAccess.allCases.map {
                ($0, timer("token_service_database_transaction_duration", [("access", $0.rawValue)]))
            })
        activeRequests = Meter(label: "http.server.active_requests", dimensions: [], factory: factory)
        activeTransactions = Meter(label: "token_service_database_transactions", dimensions: [], factory: factory)
        connections = Meter(label: "token_service_connections", dimensions: [], factory: factory)
        passwordQueue = Meter(label: "token_service_password_queue", dimensions: [], factory: factory)
        passwordTime = timer("token_service_password_duration")
        passwordsRefused = Counter(label: "token_service_passwords_refused", dimensions: [], factory: factory)
        requestsRefused = Counter(label: "token_service_requests_refused", dimensions: [], factory: factory)
        // There from the start, so that the first one is an increase.
        refreshes = Dictionary(
            uniqueKeysWithValues: RefreshOutcome.allCases.map {
                (
                    $0,
                    Counter(label: "token_service_refreshes", dimensions: [("outcome", $0.rawValue)], factory: factory)
                )
            })
    }

    /// Counts nothing.
    static let none = ServiceMetrics(NOOPMetricsHandler.instance)

    /// A request that was answered; its labels are those of OpenTelemetry's `http.server.request.duration`.
    ///
    /// - Parameter route: the path as it is declared; `nil` where there is none such.
    func answered(_ method: HTTPRequest.Method, route: String?, _ status: HTTPResponse.Status, in time: Duration) {
        let kind = RequestKind(method: method.label, route: route ?? "none", status: status.code)
        let timer = requests.withLock { requests in
            if let timer = requests[kind] { return timer }
            let timer = Timer(
                label: "http.server.request.duration",
                dimensions: [
                    ("http.request.method", kind.method), ("http.route", kind.route),
                    ("http.response.status_code", String(kind.status)),
                ], preferredDisplayUnit: .seconds, factory: factory)
            requests[kind] = timer
            return timer
        }
        timer.recordNanoseconds(time.nanoseconds)
    }

    /// An access token that was signed.
    func issued(_ algorithm: Algorithm, for grant: TokenGrant, in time: Duration) {
        let kind = TokenKind(algorithm: algorithm, grant: grant)
        let (counter, timer) = tokens.withLock { tokens in
            if let made = tokens[kind] { return made }
            let made = (
                Counter(
                    label: "token_service_tokens_issued",
                    dimensions: [("algorithm", algorithm.name), ("grant", grant.rawValue)], factory: factory),
                Timer(
                    label: "token_service_signing_duration", dimensions: [("algorithm", algorithm.name)],
                    preferredDisplayUnit: .seconds, factory: factory)
            )
            tokens[kind] = made
            return made
        }
        counter.increment()
        timer.recordNanoseconds(time.nanoseconds)
    }

    func refreshed(_ outcome: RefreshOutcome) { refreshes[outcome]?.increment() }

    /// A request for which there was no room.
    func refusedRequest() { requestsRefused.increment() }

    /// Something that is in the audit log.
    func recorded(_ event: AuditRecord.Event, _ outcome: AuditRecord.Outcome) {
        Counter(
            label: "token_service_audit_events",
            dimensions: [("event", event.rawValue), ("outcome", outcome.rawValue)], factory: factory
        ).increment()
    }

    func sessionsEnded(_ count: Int, cause: String) {
        Counter(label: "token_service_sessions_ended", dimensions: [("cause", cause)], factory: factory)
            .increment(by: count)
    }

    /// A password that was checked or hashed, waiting included.
    func checkedPassword(in time: Duration) { passwordTime.recordNanoseconds(time.nanoseconds) }

    /// A password for which there was no room in the queue.
    func refusedPassword() { passwordsRefused.increment() }

    /// A transaction that ended, waiting for a connection included.
    func transacted(_ access: DatabaseAccess, in time: Duration) {
        transactions[access]?.recordNanoseconds(time.nanoseconds)
    }

    func failed(_ error: StorageError) {
        Counter(
            label: "token_service_database_errors", dimensions: [("code", error.code.name)], factory: factory
        ).increment()
    }
}

/// What an access token was asked for with.
enum TokenGrant: String, Sendable {
    case logIn = "log-in"
    case refreshToken = "refresh_token"
    case clientCredentials = "client_credentials"
    case tokenExchange = "token-exchange"
}

extension HTTPRequest.Method {
    /// What it is called where few names are wanted: those that nobody declares are one.
    var label: String {
        [.get, .head, .post, .put, .delete, .options, .patch].contains(self) ? rawValue : "_OTHER"
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
