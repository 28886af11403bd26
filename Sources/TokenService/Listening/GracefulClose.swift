internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Ends an HTTP/1.1 connection of a server that stops, so that no request is lost: the answer to the request at hand, or to
/// the next one of a client that keeps them coming, tells that the connection closes (RFC 9112 section 9.6), and then it
/// does. One that stays idle is closed without. HTTP/2 has a frame of its own for that.
final class GracefulClose: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long the next request of a connection may take that is idle.
    private static let patience = TimeAmount.seconds(1)

    private var isStopping = false
    private var hasToldSo = false
    private var requestsInProgress = 0
    private var timer: Scheduled<Void>?

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        // Not handed on: what comes behind would close at once. A stream ends by itself, and may not say so (RFC 9113
        // section 8.2.2).
        guard context.channel.http2Connection == nil else { return }
        isStopping = true
        if requestsInProgress == 0 { closeSoon(context) }
    }

    private func closeSoon(_ context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) {
            if self.requestsInProgress == 0 { context.close(promise: nil) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) { requestsInProgress += 1 }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where isStopping && requestsInProgress == 1 && head.status.kind != .informational:
            hasToldSo = true
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            // HTTP's parser may answer what was no request.
            requestsInProgress = max(0, requestsInProgress - 1)
            guard isStopping, requestsInProgress == 0 else { return context.write(data, promise: promise) }
            guard hasToldSo else {
                context.write(data, promise: promise)
                return closeSoon(context)
            }
            context.writeAndFlush(data, promise: promise)
            context.close(promise: nil)
        default: context.write(data, promise: promise)
        }
    }
}
