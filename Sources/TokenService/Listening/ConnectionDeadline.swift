internal import NIOCore
internal import NIOTLS

/// Closes an encrypted connection whose handshake doesn't end in time, and one of HTTP/2 that has had no stream for long.
///
/// What a stranger sends that isn't a request keeps neither open. Requests have a deadline of their own, ``RequestDeadline``,
/// and so has the whole of an HTTP/1.1 connection after the handshake.
final class ConnectionDeadline: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// What the streams of a connection tell it.
    enum StreamEvent { case began, ended }

    private static let handshake = TimeAmount.seconds(10)
    private static let firstStream = TimeAmount.seconds(15)
    /// Longer than ``Listener`` lets HTTP/2 be idle before it says good-bye.
    private static let idle = TimeAmount.seconds(90)

    private var timer: Scheduled<Void>?
    private var streams = 0

    private func expect(within time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }

    func handlerAdded(context: ChannelHandlerContext) { expect(within: Self.handshake, context) }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case StreamEvent.began:
            streams += 1
            timer?.cancel()
        case StreamEvent.ended:
            streams -= 1
            if streams == 0 { expect(within: Self.idle, context) }
        case TLSUserEvent.handshakeCompleted("h2"):
            expect(within: Self.firstStream, context)
            context.fireUserInboundEventTriggered(event)
        case TLSUserEvent.handshakeCompleted:
            timer?.cancel()
            context.fireUserInboundEventTriggered(event)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
