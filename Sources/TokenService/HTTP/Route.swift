internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdTokenVerifier
internal import KeyService
internal import Logging
internal import Storage
internal import TokenVerifier

/// One method at one path.
struct Route: Sendable {
    typealias Handler = @Sendable (Request, ServiceRequestContext) async throws -> Response

    let method: HTTPRequest.Method
    /// Parts in braces stand for anything: `/auth/sessions/{id}`.
    let path: String
    /// Whether it is for callers with a valid access token, whose session goes on.
    let isProtected: Bool
    let handler: Handler

    init(_ method: HTTPRequest.Method, _ path: String, isProtected: Bool = false, _ handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.isProtected = isProtected
        self.handler = handler
    }

    /// A router of some routes. GET answers HEAD, too; any other method at a path that is there is told which ones are
    /// allowed.
    static func router(
        _ routes: [Route], origins: Origins, protection: TokenMiddleware<ServiceRequestContext>,
        metrics: ServiceMetrics
    ) -> Router<ServiceRequestContext> {
        var routes = routes
        for route in routes where route.method == .get {
            routes.append(Route(.head, route.path, isProtected: route.isProtected, route.handler))
        }
        let router = Router(context: ServiceRequestContext.self)
        router.add(middleware: Answers(paths: Paths(routes), origins: origins, metrics: metrics))
        for route in routes where !route.isProtected {
            router.on(RouterPath(route.path), method: route.method, use: route.handler)
        }
        let protected = router.group().add(middleware: protection)
        for route in routes where route.isProtected {
            protected.on(RouterPath(route.path), method: route.method, use: route.handler)
        }
        return router
    }
}

/// The methods at each path.
private struct Paths: Sendable {
    /// A path as it is declared.
    struct Declared {
        let path: String
        let methods: [HTTPRequest.Method]
    }

    private var paths: [String: Declared] = [:]
    private var patterns: [(parts: [Substring], path: Declared)] = []

    init(_ routes: [Route]) {
        for (path, routes) in Dictionary(grouping: routes, by: \.path) {
            let declared = Declared(path: path, methods: routes.map(\.method))
            if path.contains("{") { patterns.append((Self.parts(path), declared)) } else { paths[path] = declared }
        }
    }

    private static func parts(_ path: String) -> [Substring] {
        path.split(separator: "/", omittingEmptySubsequences: false)
    }

    /// The path of a request, spelt as it is served: the router takes other spellings, too, which a rule of
    /// a proxy may not know.
    func declared(at path: String) -> Declared? {
        if let declared = paths[path] { return declared }
        let parts = Self.parts(path)
        return patterns.first { pattern in
            pattern.parts.count == parts.count
                && zip(pattern.parts, parts).allSatisfy { $0.hasPrefix("{") ? !$1.isEmpty : $0 == $1 }
        }?.path
    }
}

/// Turns every error into an answer in OAuth's form, counts and traces it, and lets pages of other origins read what they may.
private struct Answers: RouterMiddleware {
    let paths: Paths
    let origins: Origins
    let metrics: ServiceMetrics
    private let tracing = RequestTracing()

    init(paths: Paths, origins: Origins, metrics: ServiceMetrics) {
        self.paths = paths
        self.origins = origins
        self.metrics = metrics
    }

    func handle(
        _ request: Request, context: ServiceRequestContext,
        next: (Request, ServiceRequestContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        let path = paths.declared(at: request.uri.path)
        var response = await tracing.answer(request, route: path?.path) {
            await answer(request, path, context, next)
        }
        metrics.answered(request.method, route: path?.path, response.status, in: .now - began)
        origins.share(&response, with: request)
        // An error has a body of its own, which HEAD must not get.
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(
        _ request: Request, _ path: Paths.Declared?, _ context: ServiceRequestContext,
        _ next: (Request, ServiceRequestContext) async throws -> Response
    ) async -> Response {
        guard let path else { return APIError.notFound.response }
        if let preflight = origins.preflight(request, methods: path.methods) { return preflight }
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return error.response
        } catch let error as HTTPError where error.status == .notFound {
            return APIError.methodNotAllowed(path.methods).response
        } catch let error as LogInLimiter.Exceeded {
            return APIError.tooManyAttempts(retryAfter: error.retryAfter).response
        } catch is PasswordHasher.Overloaded {
            return APIError.unavailable("too many log-ins at once").response
        } catch is TokenIssuer.NoSigningKey {
            return APIError.unavailable("no key can sign now", retryAfter: 5).response
        } catch let challenge as TokenChallenge {
            return challenge.response
        } catch let error as VerifierUnavailable {
            return APIError.unavailable(error.reason).response
        } catch let error as StorageError where error.code == .unavailable {
            context.logger.error("\(error)")
            return APIError.unavailable("the database can't be used now").response
        } catch {
            // The type only: what an unforeseen error says might hold what a client sent.
            context.logger.error(
                "a request failed", metadata: ["path": "\(request.uri.path)", "error": "\(type(of: error))"])
            return APIError.serverError.response
        }
    }
}
