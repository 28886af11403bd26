internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection whose request doesn't arrive whole in time, however slowly it drips, and one that waits idly for
/// as long.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart

    /// How long a head may take, counted from the connection or from the answer before.
    private static let head = TimeAmount.seconds(15)
    /// How long a body may take after that: a little longer than ``RequestBody/timeout``, which has an answer.
    private static let body = TimeAmount.seconds(20)

    private var deadline: Scheduled<Void>?
    private var requestsInProgress = 0
    private var isReading = false

    private func expect(within time: TimeAmount, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }

    func handlerAdded(context: ChannelHandlerContext) { expect(within: Self.head, context) }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            requestsInProgress += 1
            isReading = true
            expect(within: Self.body, context)
        case .body: break
        case .end:
            isReading = false
            deadline?.cancel()
            // The answer may have gone out before the body was in.
            if requestsInProgress == 0 { expect(within: Self.head, context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            requestsInProgress -= 1
            if requestsInProgress == 0, !isReading { expect(within: Self.head, context) }
        }
        context.write(data, promise: promise)
    }
}
