internal import Hummingbird
internal import JOSE
internal import KeyService
internal import NIOCore

/// `/metrics`: what was counted, and what is so at the moment it is asked for.
struct MetricsDocument: Sendable {
    static let path = "/metrics"

    let counted: PrometheusMetrics
    let keys: KeyService
    let schedule: KeySchedule
    let statusLists: StatusLists
    let liveSessions: Locked<Int?>
    let limits: Limits
    let certificate: CertificateWatch?
    let now: @Sendable () -> Instant

    /// What there is room for.
    struct Limits: Sendable {
        let connections: Int
        let requests: Int
        let passwords: Int
        /// `nil` for SQLite.
        let databaseConnections: Int?
    }

    var routes: [Route] {
        [
            Route(.get, Self.path) { _, _ in
                Response(
                    status: .ok, headers: [.contentType: PrometheusText.contentType, .cacheControl: "no-store"],
                    body: ResponseBody(byteBuffer: ByteBuffer(string: await text())))
            }
        ]
    }

    func text() async -> String {
        PrometheusText.document(counted.families(help: Self.help) + (await readings()).filter { !$0.samples.isEmpty })
    }

    private typealias Sample = PrometheusText.Sample

    private func readings() async -> [PrometheusText.Family] {
        func gauge(_ name: String, _ samples: [Sample]) -> PrometheusText.Family {
            PrometheusText.Family(name: name, type: .gauge, help: Self.help[name], samples: samples)
        }
        func gauge(_ name: String, _ value: Int?) -> PrometheusText.Family {
            gauge(name, value.map { [Sample(value: Double($0))] } ?? [])
        }
        let sizes = statusLists.sizes
        let expiry = await certificate?.expiresAt.seconds
        return keyReadings(gauge) + [
            gauge("token_service_sessions_live", liveSessions.withLock { $0 }),
            gauge("token_service_key_problems", keys.problemCount),
            gauge(
                "token_service_status_lists_age_seconds",
                statusLists.seenAt.map { Int((now() - $0).components.seconds) }),
            gauge("token_service_status_lists", sizes.lists),
            gauge("token_service_status_list_places", sizes.places),
            gauge("token_service_status_list_places_ended", sizes.ended),
            gauge("token_service_status_list_bytes", sizes.bytes),
            gauge("token_service_connections_limit", limits.connections),
            gauge("token_service_requests_limit", limits.requests),
            gauge("token_service_password_queue_limit", limits.passwords),
            gauge("token_service_database_connections_limit", limits.databaseConnections),
            gauge("token_service_certificate_expiry_timestamp_seconds", expiry.map(Int.init)),
        ] + ProcessReadings.families
    }

    /// The states of the keys and when they change. A key that is over has no series of its own: there may be many.
    private func keyReadings(_ gauge: (String, [Sample]) -> PrometheusText.Family) -> [PrometheusText.Family] {
        let (ring, now) = (keys.ring, now())
        let states = ring.records.map { ($0, ring.state(of: $0, at: now)) }
        func seconds(until instant: Instant) -> Double { Double((instant - now).components.seconds) }
        var counts: [Sample] = []
        for algorithm in Algorithm.table where ring.records.contains(where: { $0.algorithm == algorithm }) {
            for state in KeyState.allCases {
                let count = states.count { $0.0.algorithm == algorithm && $0.1 == state }
                counts.append(
                    Sample(labels: [("algorithm", algorithm.name), ("state", state.rawValue)], value: Double(count)))
            }
        }
        let changes = states.compactMap { record, state -> Sample? in
            let next: Instant? =
                switch state {
                case .pending: record.activatesAt
                case .active: ring.retiresAt(record)
                case .retired: ring.expiresAt(record)
                case .expired, .revoked: nil
                }
            return next.map {
                Sample(
                    labels: [
                        ("kid", record.keyID.rawValue), ("algorithm", record.algorithm.name), ("state", state.rawValue),
                    ], value: seconds(until: $0))
            }
        }
        let active = schedule.algorithms.compactMap { algorithm in
            ring.active(algorithm, at: now)?.activatesAt.map { (algorithm.name, $0) }
        }
        return [
            gauge("token_service_keys", counts), gauge("token_service_key_change_seconds", changes),
            gauge(
                "token_service_key_age_seconds",
                active.map { Sample(labels: [("algorithm", $0.0)], value: -seconds(until: $0.1)) }),
            gauge(
                "token_service_key_rotation_due_seconds",
                schedule.rotateEvery == .zero
                    ? []
                    : active.map {
                        Sample(labels: [("algorithm", $0.0)], value: seconds(until: $0.1 + schedule.rotateEvery))
                    }),
        ]
    }

    /// What each name means.
    static let help = [
        "http_server_request_duration_seconds": "Time from a request's head to its answer.",
        "http_server_active_requests": "Requests that are being answered.",
        "token_service_tokens_issued_total": "Access tokens that were signed.",
        "token_service_signing_duration_seconds": "Time to sign an access token.",
        "token_service_refreshes_total": "Refresh tokens that came in, by what became of them.",
        "token_service_sessions_live": "Sessions that go on, as the database said within the last minute.",
        "token_service_sessions_ended_total":
            "Sessions that this node ended, by cause; those that a command ended aren't among them.",
        "token_service_audit_events_total": "Audit records that this node wrote.",
        "token_service_password_queue": "Passwords that are checked or hashed now, or wait for it.",
        "token_service_password_queue_limit": "How many there is room for; further log-ins get 503.",
        "token_service_password_duration_seconds": "Time to check or hash a password, waiting included.",
        "token_service_passwords_refused_total": "Passwords for which the queue had no room.",
        "token_service_database_transactions": "Transactions that run, or wait for a connection.",
        "token_service_database_connections_limit": "How many can run at once.",
        "token_service_database_transaction_duration_seconds": "Time of a transaction, waiting included.",
        "token_service_database_errors_total": "Transactions that failed.",
        "token_service_keys": "Keys by algorithm and state.",
        "token_service_key_change_seconds": "Seconds until a key changes its state, where that is known.",
        "token_service_key_age_seconds": "How long the active key of an algorithm has been signing.",
        "token_service_key_rotation_due_seconds":
            "Seconds until the active key is to be replaced; below zero where it is overdue.",
        "token_service_key_problems":
            "What is wrong with the keys now, as the log says: some can't be read or written, or none can sign.",
        "token_service_status_lists_age_seconds": "Seconds since the database last told what was ended.",
        "token_service_requests_refused_total": "Requests for which there was no room, and which got 503.",
        "token_service_status_lists": "Status lists that this node publishes.",
        "token_service_status_list_places": "Places in them.",
        "token_service_status_list_places_ended": "Places whose tokens were ended.",
        "token_service_status_list_bytes": "Size of the signed documents that are built now.",
        "token_service_connections": "Connections that are open.",
        "token_service_connections_limit": "How many there may be; further ones wait.",
        "token_service_requests_limit": "How many requests are answered at once; further ones get 503.",
        "token_service_certificate_expiry_timestamp_seconds": "When the certificate expires, in Unix time.",
        "token_verifier_tokens_total": "Access tokens that this node verified for its own endpoints.",
        "process_cpu_seconds_total": "CPU time of the process.",
        "process_resident_memory_bytes": "Memory of the process.",
        "process_open_fds": "Open files of the process.",
        "process_max_fds": "How many files it may open.",
        "process_start_time_seconds": "When the process started, in Unix time.",
    ]
}
