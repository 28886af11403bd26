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

    /// The methods that a path is asked for in earnest; another one finds nothing.
    private static let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options]

    /// A router of some routes. At a path that is there, every other method is told which ones are allowed; GET answers
    /// HEAD, too.
    static func router(_ routes: [Route]) -> Router<ServiceRequestContext> {
        let router = Router(context: ServiceRequestContext.self)
        router.add(middleware: ErrorResponses())
        for (path, routes) in Dictionary(grouping: routes, by: \.path) {
            var allowed = routes.map(\.method)
            for route in routes {
                router.on(RouterPath(path), method: route.method, use: route.handler)
            }
            if let get = routes.first(where: { $0.method == .get }), !allowed.contains(.head) {
                allowed.append(.head)
                router.on(RouterPath(path), method: .head) { request, context in
                    try await get.handler(request, context).createHeadResponse()
                }
            }
            for method in methods where !allowed.contains(method) {
                router.on(RouterPath(path), method: method) { [allowed] _, _ -> Response in
                    throw APIError.methodNotAllowed(allowed)
                }
            }
        }
        return router
    }
}

/// Turns every error into an answer in OAuth's form.
private struct ErrorResponses: RouterMiddleware {
    func handle(
        _ request: Request, context: ServiceRequestContext,
        next: (Request, ServiceRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return error.response
        } catch let error as HTTPError where error.status == .notFound {
            return APIError.notFound.response
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
