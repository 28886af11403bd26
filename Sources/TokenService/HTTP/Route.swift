internal import HTTPTypes
internal import Hummingbird
internal import KeyService
internal import Logging
internal import Storage

/// One method at one path.
struct Route: Sendable {
    typealias Handler = @Sendable (Request, ServiceRequestContext) async throws -> Response

    let method: HTTPRequest.Method
    let path: String
    let handler: Handler

    init(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.handler = handler
    }

    /// A router of some routes. GET answers HEAD, too; any other method at a path that is there is told which ones are
    /// allowed.
    static func router(_ routes: [Route]) -> Router<ServiceRequestContext> {
        var routes = routes
        for route in routes where route.method == .get {
            routes.append(Route(.head, route.path, route.handler))
        }
        let router = Router(context: ServiceRequestContext.self)
        router.add(
            middleware: ErrorResponses(
                methods: Dictionary(grouping: routes, by: \.path).mapValues { $0.map(\.method) }))
        for route in routes { router.on(RouterPath(route.path), method: route.method, use: route.handler) }
        return router
    }
}

/// Turns every error into an answer in OAuth's form.
private struct ErrorResponses: RouterMiddleware {
    /// The methods at each path.
    let methods: [String: [HTTPRequest.Method]]

    func handle(
        _ request: Request, context: ServiceRequestContext,
        next: (Request, ServiceRequestContext) async throws -> Response
    ) async throws -> Response {
        let response = await answer(request, context, next)
        // An error has a body of its own, which HEAD must not get.
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(
        _ request: Request, _ context: ServiceRequestContext,
        _ next: (Request, ServiceRequestContext) async throws -> Response
    ) async -> Response {
        // The router takes other spellings of a path, too, which a rule of a proxy may not know.
        guard let allowed = methods[request.uri.path] else { return APIError.notFound.response }
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return error.response
        } catch let error as HTTPError where error.status == .notFound {
            return APIError.methodNotAllowed(allowed).response
        } catch is PasswordHasher.Overloaded {
            return APIError.unavailable("too many log-ins at once").response
        } catch is TokenIssuer.NoSigningKey {
            return APIError.unavailable("no key can sign now", retryAfter: 5).response
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
