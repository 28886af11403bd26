internal import CoreMetrics
internal import Hummingbird
internal import JOSE

/// Lets requests in: once the routes are there, which is an instant after the first connection can be, and no more at once
/// than there is room for.
final class FrontDoor: HTTPResponder {
    private struct State {
        var responder: RouterResponder<ServiceRequestContext>?
        var requests = 0
    }

    private let state = Locked(State())
    private let maximumRequests: Int
    private let metrics: ServiceMetrics

    init(maximumRequests: Int, metrics: ServiceMetrics) {
        self.maximumRequests = maximumRequests
        self.metrics = metrics
    }

    /// Lets requests through to a responder.
    func open(to responder: RouterResponder<ServiceRequestContext>) { state.withLock { $0.responder = responder } }

    /// What is answered however busy the node is: who restarts it, or sends all elsewhere, makes it worse.
    private static let alwaysAnswered = [PublishedRoutes.livePath, PublishedRoutes.readyPath, MetricsDocument.path]

    /// Whether most of the room is taken.
    var isCrowded: Bool { state.withLock { $0.requests * 4 >= maximumRequests * 3 } }

    func respond(to request: Request, context: ServiceRequestContext) async throws -> Response {
        let (responder, hasRoom) = state.withLock { state in
            let hasRoom = state.requests < maximumRequests
            if hasRoom { state.requests += 1 }
            return (state.responder, hasRoom)
        }
        metrics.activeRequests.increment()
        defer {
            metrics.activeRequests.decrement()
            if hasRoom { state.withLock { $0.requests -= 1 } }
        }
        guard let responder else { return turnedAway(request, "the service is starting") }
        guard hasRoom || Self.alwaysAnswered.contains(where: request.uri.path.isSpelt) else {
            metrics.refusedRequest()
            return turnedAway(request, "too many requests at once")
        }
        return try await responder.respond(to: request, context: context)
    }

    private func turnedAway(_ request: Request, _ reason: String) -> Response {
        let response = APIError.unavailable(reason).response
        return request.method == .head ? response.createHeadResponse() : response
    }
}
