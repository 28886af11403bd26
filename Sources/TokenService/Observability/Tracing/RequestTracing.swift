internal import HTTPTypes
internal import Hummingbird
internal import Instrumentation
internal import Tracing

/// Takes the trace of a request from its `traceparent`, or begins one, so that log lines name it. Where the program has a
/// tracer, each request is a span of it; without one, nothing is recorded.
struct RequestTracing: Sendable {
    /// `nil` where spans would go nowhere.
    private let tracer: (any Tracer)?

    /// - Parameter tracer: the one that the program chose.
    init(tracer: any Tracer = InstrumentationSystem.tracer) {
        self.tracer = tracer is NoOpTracer ? nil : tracer
    }

    /// Answers a request within its trace.
    ///
    /// - Parameter route: the path as it is declared; `nil` where there is none such.
    func answer(_ request: Request, route: String?, _ body: () async -> Response) async -> Response {
        let trace = RequestTrace(field: request.headers[.traceparent])
        return await RequestTrace.$current.withValue(trace) {
            guard let tracer else { return await body() }
            return await span(of: request, trace, route, tracer, body)
        }
    }

    private func span(
        of request: Request, _ trace: RequestTrace, _ route: String?, _ tracer: any Tracer, _ body: () async -> Response
    ) async -> Response {
        // What isn't a trace's begins one, of which the log and the tracer have the same name.
        var headers = request.headers
        headers[.traceparent] = trace.context.traceparent
        var context = InstrumentationContext.current ?? .topLevel
        tracer.extract(headers, into: &context, using: FieldExtractor())
        let name = route.map { "\(request.method.label) \($0)" } ?? request.method.label
        return await tracer.withAnySpan(name, context: context, ofKind: .server) { span in
            let response = await body()
            // Neither the query nor any field: clients put secrets into both.
            span.attributes["http.request.method"] = request.method.label
            span.attributes["http.response.status_code"] = response.status.code
            if let route { span.attributes["http.route"] = route }
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
