import HTTPTypes
import Hummingbird
import InMemoryTracing
import NIOCore
import Testing
import Tracing

@testable import TokenService

@Suite("The trace of a request")
struct TraceTests {
    private static let field = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test(
        "is read from its traceparent",
        arguments: [
            field, "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ])
    func read(field: String) throws {
        let context = try #require(TraceContext(traceparent: field))
        #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.parentID == "00f067aa0ba902b7")
        #expect(context.traceparent == Self.field)
    }

    @Test(
        "isn't taken from what is none",
        arguments: [
            "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
            "\(field), \(field)",
        ])
    func refused(field: String) { #expect(TraceContext(traceparent: field) == nil) }

    @Test("begins with the request where it brings none, and is another one each time")
    func begun() throws {
        let traces = (0..<100).map { _ in RequestTrace(field: "nothing").context }
        #expect(Set(traces.map(\.traceID)).count == 100)
        for trace in traces { #expect(TraceContext(traceparent: trace.traceparent) == trace) }
    }

    /// The spans of a request.
    private func spans(_ path: String, headers: HTTPFields = [:]) async throws -> [FinishedInMemorySpan] {
        let tracer = InMemoryTracer()
        let head = HTTPRequest(method: .get, scheme: "http", authority: "a", path: path, headerFields: headers)
        let request = Request(head: head, body: RequestBody(buffer: ByteBuffer()))
        _ = await RequestTracing(tracer: tracer).answer(request, route: "/things/{id}") {
            Response(status: .serviceUnavailable)
        }
        return tracer.finishedSpans
    }

    @Test("is a span of the program's tracer, named by the route, with no secret in it")
    func span() async throws {
        let spans = try await spans("/things/s3cret?token=s3cret", headers: [.authorization: "Bearer s3cret"])
        let span = try #require(spans.first)
        #expect(spans.count == 1)
        #expect(span.operationName == "GET /things/{id}")
        #expect(span.kind == .server)
        #expect(span.status?.code == .error)
        #expect(span.attributes.get("http.response.status_code") == .int64(503))
        var values: [String] = []
        span.attributes.forEach { values.append("\($0)=\($1)") }
        #expect(!values.contains { $0.contains("s3cret") })
    }
}
