import Foundation
import HTTPTypes
import JOSE
import Metrics
import Testing

@testable import TokenService

@Suite("Metrics for Prometheus")
struct PrometheusTests {
    private func text(_ metrics: PrometheusMetrics) -> String {
        PrometheusText.document(metrics.families(help: ["things_total": "What\nthere \\ is."]))
    }

    @Test("are counted by name and labels, whoever asks for them")
    func counted() {
        let metrics = PrometheusMetrics()
        for _ in 0..<3 { Counter(label: "things", dimensions: [("kind", "a")], factory: metrics).increment() }
        Counter(label: "things", dimensions: [("kind", "b")], factory: metrics).increment(by: 5)
        Meter(label: "some.level", factory: metrics).set(2.5)
        #expect(
            text(metrics) == """
                # TYPE some_level gauge
                some_level 2.5
                # HELP things_total What\\nthere \\\\ is.
                # TYPE things_total counter
                things_total{kind="a"} 3
                things_total{kind="b"} 5

                """)
    }

    @Test("put a time into the buckets that are long enough")
    func histogram() {
        let metrics = PrometheusMetrics()
        let timer = Timer(label: "work", factory: metrics)
        for milliseconds in [1, 3, 20_000] { timer.recordMilliseconds(milliseconds) }
        let lines = text(metrics).split(separator: "\n")
        for line in [
            "# TYPE work_seconds histogram", #"work_seconds_bucket{le="0.0005"} 0"#,
            #"work_seconds_bucket{le="0.001"} 1"#,
            #"work_seconds_bucket{le="0.005"} 2"#, #"work_seconds_bucket{le="10.0"} 2"#,
            #"work_seconds_bucket{le="+Inf"} 3"#, "work_seconds_sum 20.004", "work_seconds_count 3",
        ] { #expect(lines.contains(Substring(line)), "\(line)") }
    }

    @Test("escape what a label may hold")
    func escaped() {
        let metrics = PrometheusMetrics()
        Counter(label: "things", dimensions: [("odd label", "a\"b\\c\nd")], factory: metrics).increment()
        #expect(text(metrics).contains(#"things_total{odd_label="a\"b\\c\nd"} 1"#))
    }

    @Test("have a bound, however many values a label takes")
    func bounded() {
        let metrics = PrometheusMetrics()
        for number in 0..<(PrometheusMetrics.maximumSeries + 100) {
            Counter(label: "things", dimensions: [("number", "\(number)")], factory: metrics).increment()
        }
        #expect(metrics.families(help: [:])[0].samples.count == PrometheusMetrics.maximumSeries)
        // Those that are there go on.
        Counter(label: "things", dimensions: [("number", "7")], factory: metrics).increment()
        #expect(text(metrics).contains(#"things_total{number="7"} 2"#))
    }

    @Test("of one name and two types are of the first only")
    func types() {
        let metrics = PrometheusMetrics()
        Meter(label: "things_total", factory: metrics).set(1)
        Counter(label: "things", factory: metrics).increment()
        #expect(text(metrics).contains("# TYPE things_total gauge\nthings_total 1\n"))
        #expect(text(metrics).components(separatedBy: "things_total").count == 4)
    }

    @Test("go when they are destroyed")
    func destroyed() {
        let metrics = PrometheusMetrics()
        let counter = Counter(label: "things", factory: metrics)
        counter.increment()
        counter.destroy()
        #expect(text(metrics) == "")
    }
}

@Suite("The metrics of the service")
struct ServiceMetricsTests {
    private func lines(_ service: TestService) async throws -> Set<String> {
        let answer = try await service.get("/metrics")
        #expect(answer.status == .ok)
        return Set(String(decoding: answer.body, as: UTF8.self).split(separator: "\n").map(String.init))
    }

    @Test("tell what became of log-ins, refreshes and sessions")
    func sessions() async throws {
        let service = try await TestService(["refresh-grace": "0"])
        try await service.addUser()
        let pair = try await service.logIn()
        _ = try await service.post("/auth/log-in", ["username": "alice", "password": "wrong"])
        for token in [pair.refresh, pair.refresh, "made up"] {
            _ = try await service.post("/auth/refresh", ["refresh_token": .string(token)])
        }
        let second = try await service.logIn()
        _ = try await service.post("/auth/log-out", ["refresh_token": .string(second.refresh)])
        let lines = try await lines(service)
        for line in [
            #"token_service_tokens_issued_total{algorithm="ES256",grant="log-in"} 2"#,
            #"token_service_tokens_issued_total{algorithm="ES256",grant="refresh_token"} 1"#,
            #"token_service_refreshes_total{outcome="advanced"} 1"#,
            #"token_service_refreshes_total{outcome="reused"} 1"#,
            #"token_service_refreshes_total{outcome="refused"} 1"#,
            #"token_service_sessions_ended_total{cause="reuse"} 1"#,
            #"token_service_sessions_ended_total{cause="log_out"} 1"#,
            #"token_service_audit_events_total{event="log_in",outcome="refused"} 1"#,
            #"token_service_password_duration_seconds_count 3"#,
            #"token_service_signing_duration_seconds_count{algorithm="ES256"} 3"#,
            #"token_service_status_list_places_ended 2"#,
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test("tell the states of the keys, and the seconds to the next change")
    func keys() async throws {
        let service = try await TestService(["publish-ahead": "1h", "rotate-every": "10d"])
        service.clock.advance(.seconds(10 * 86_400 - 3600))
        try await service.server.refresh()
        service.clock.advance(.seconds(600))
        let lines = try await lines(service)
        #expect(lines.contains(#"token_service_keys{algorithm="ES256",state="active"} 1"#))
        #expect(lines.contains(#"token_service_keys{algorithm="ES256",state="pending"} 1"#))
        for state in ["pending", "active"] {
            let line = try #require(
                lines.first {
                    $0.hasPrefix("token_service_key_change_seconds{") && $0.contains("state=\"\(state)\"")
                })
            let seconds = try #require(Int(line.split(separator: " ")[1]))
            #expect((2900...3000).contains(seconds), "\(line)")
        }
        let due = try #require(lines.first { $0.hasPrefix("token_service_key_rotation_due_seconds{") })
        #expect((2900...3000).contains(try #require(Int(due.split(separator: " ")[1]))), "\(due)")
    }

    @Test("have no series that a stranger made up")
    func strangers() async throws {
        let service = try await TestService()
        for number in 0..<20 { _ = try await service.get("/made-up/\(number)") }
        let requests = try await lines(service).filter { $0.hasPrefix("http_server_request_duration_seconds_count") }
        #expect(
            requests == [
                "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"none\","
                    + "http_response_status_code=\"404\"} 20"
            ])
    }

    @Test("are there only where the settings want them")
    func off() async throws {
        #expect(try await TestService(["metrics": "off"]).get("/metrics").status == .notFound)
    }

    @Test("count the live sessions now and then")
    func live() async throws {
        let service = try await TestService()
        try await service.addUser()
        for _ in 0..<3 { _ = try await service.logIn() }
        try await service.server.countSessions()
        #expect(try await lines(service).contains("token_service_sessions_live 3"))
    }
}
