internal import NIOCore
internal import NIOTLS

/// Closes an encrypted connection whose handshake doesn't end in time, and one of HTTP/2 that has had no stream for long.
///
/// Where the server stops, a handshake is cut, and HTTP/2 has a moment to say good-bye once its streams have ended.
///
/// What a stranger sends that isn't a request keeps neither open. Requests have a deadline of their own, ``RequestDeadline``,
/// and so has the whole of an HTTP/1.1 connection after the handshake.
final class ConnectionDeadline: ChannelDuplexHandler {
    typealias InboundIn = NIOAny
    typealias OutboundIn = NIOAny

    /// What the streams of a connection tell it.
    enum StreamEvent { case began, ended }

    private static let handshake = TimeAmount.seconds(10)
    private static let firstStream = TimeAmount.seconds(15)
    /// Longer than ``Listener`` lets HTTP/2 be idle before it says good-bye.
    private static let idle = TimeAmount.seconds(90)

    /// How long a client may take to say good-bye.
    private static let farewell = TimeAmount.seconds(1)

    private var timer: Scheduled<Void>?
    private var streams = 0
    private var isShakingHands = true
    private var isHTTP2 = false
    private var isStopping = false

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
            if streams == 0 { expect(within: isStopping ? Self.farewell : Self.idle, context) }
        case is ChannelShouldQuiesceEvent:
            isStopping = true
            if isShakingHands { return context.close(promise: nil) }
            if isHTTP2, streams == 0 { expect(within: Self.farewell, context) }
            context.fireUserInboundEventTriggered(event)
        case TLSUserEvent.handshakeCompleted("h2"):
            (isShakingHands, isHTTP2) = (false, true)
            expect(within: Self.firstStream, context)
            context.fireUserInboundEventTriggered(event)
        case TLSUserEvent.handshakeCompleted:
            isShakingHands = false
            timer?.cancel()
            context.fireUserInboundEventTriggered(event)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard isStopping, isHTTP2, mode == .all else { return context.close(mode: mode, promise: promise) }
        // Once its last stream has ended, HTTP/2 closes while what ended it is still being written.
        context.eventLoop.assumeIsolated().execute {
            context.flush()
            context.close(mode: mode, promise: promise)
        }
    }
}
