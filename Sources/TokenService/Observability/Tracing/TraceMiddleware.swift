internal import HTTPTypes
internal import Hummingbird
internal import Instrumentation
internal import Tracing

/// Takes the trace of a request from its `traceparent`, or begins one, so that log lines name it. Where the program has a
/// tracer, each request is a span of it; without one, nothing is recorded.
struct TraceMiddleware: RouterMiddleware {
    /// `nil` where spans would go nowhere.
    private let tracer: (any Tracer)?

    /// - Parameter tracer: the one that the program chose.
    init(tracer: any Tracer = InstrumentationSystem.tracer) {
        self.tracer = tracer is NoOpTracer ? nil : tracer
    }

    func handle(
        _ request: Request, context: ServiceRequestContext,
        next: (Request, ServiceRequestContext) async throws -> Response
    ) async throws -> Response {
        let trace = RequestTrace(field: request.headers[.traceparent])
        var traced = InstrumentationContext.current ?? .topLevel
        traced.requestTrace = trace
        guard let tracer else {
            return try await InstrumentationContext.$current.withValue(traced) { try await next(request, context) }
        }
        // What isn't a trace's begins one, of which the log and the tracer have the same name.
        var headers = request.headers
        headers[.traceparent] = trace.context.traceparent
        tracer.extract(headers, into: &traced, using: FieldExtractor())
        return try await tracer.withAnySpan(request.method.rawValue, context: traced, ofKind: .server) { span in
            let response = try await next(request, context)
            // Neither the query nor any field: clients put secrets into both.
            span.attributes["http.request.method"] = request.method.rawValue
            span.attributes["http.response.status_code"] = response.status.code
            if let route = context.endpointPath {
                span.operationName = "\(request.method.rawValue) \(route)"
                span.attributes["http.route"] = route
            }
            if response.status.kind == .serverError { span.setStatus(SpanStatus(code: .error)) }
            return response
        }
    }
}

private struct FieldExtractor: Extractor {
    func extract(key: String, from fields: HTTPFields) -> String? {
        HTTPField.Name(key).flatMap { fields[$0] }
    }
}

extension HTTPField.Name {
    static let traceparent = HTTPField.Name("traceparent")!
}
