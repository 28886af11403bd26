internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection whose request doesn't arrive whole in time, however slowly it drips, whose answer isn't read, or that
/// is idle for long. Who reads a body that is late is told first, so that there is an answer. While the service is crowded, a
/// body that drips doesn't keep the place of a request that is there.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long the first byte may take, counted from the connection, and how long a request may take from its first byte on.
    private static let request = TimeAmount.seconds(15)
    /// How long a body may drip while the service is crowded, and how often that is looked at.
    private static let drip = TimeAmount.seconds(2)
    /// How long a connection may be idle after an answer: longer than common load balancers keep theirs, so that it is they
    /// who close them.
    private static let idle = TimeAmount.seconds(75)
    /// How long the answer to what was late, or no request at all, may take.
    private static let lastAnswer = TimeAmount.seconds(5)
    /// How long a client may read nothing while an answer is kept for it.
    private static let reading = TimeAmount.seconds(30)

    /// What the body of a request ends with that is late.
    struct Passed: Error {}

    private struct Deadline {
        let at: NIODeadline
        let act: () -> Void
    }

    private let isCrowded: @Sendable () -> Bool
    /// What is waited for; `nil` while nothing is.
    private var deadline: Deadline?
    /// Fires at the deadline or before. Each request moves the deadline thrice, and a timer costs more than looking again.
    private var timer: (at: NIODeadline, scheduled: Scheduled<Void>)?
    private var requestsInProgress = 0
    /// When the body has to be there that is arriving; `nil` while none is.
    private var bodyEnd: NIODeadline?
    /// Whether it didn't come with its head.
    private var isDripping = false
    /// Whether nothing has come since the connection, or since the answer before.
    private var isIdle = true
    /// When the first byte of the request came that is arriving.
    private var began: NIODeadline?
    private var isLate = false
    /// When the client has to have read some of an answer that is kept for it; `nil` while none is.
    private var heldUpUntil: NIODeadline?
    /// The connection that this is a stream of.
    private var connection: (any Channel)?

    init(isCrowded: @escaping @Sendable () -> Bool) { self.isCrowded = isCrowded }

    private func expect(within time: TimeAmount, _ context: ChannelHandlerContext) {
        setDeadline(context.eventLoop.now + time, context) { context.close(promise: nil) }
    }

    private func setDeadline(_ at: NIODeadline, _ context: ChannelHandlerContext, _ act: @escaping () -> Void) {
        deadline = Deadline(at: at, act: act)
        if let timer, timer.at <= at { return }
        startTimer(at, context)
    }

    private func startTimer(_ at: NIODeadline, _ context: ChannelHandlerContext) {
        timer?.scheduled.cancel()
        // Handlers are called on their channel's loop; elsewhere this would stop the process, in release builds, too.
        let scheduled = context.eventLoop.assumeIsolated().scheduleTask(deadline: at) { self.timerFired(context) }
        timer = (at, scheduled)
    }

    private func timerFired(_ context: ChannelHandlerContext) {
        timer = nil
        guard let deadline else { return }
        guard deadline.at <= context.eventLoop.now else { return startTimer(deadline.at, context) }
        self.deadline = nil
        deadline.act()
    }

    /// Waits for what comes next, now that no request is arriving.
    private func expectNext(_ context: ChannelHandlerContext) {
        if !context.channel.isWritable {
            // However often something is written meanwhile, the client has the same time.
            let end = heldUpUntil ?? context.eventLoop.now + Self.reading
            heldUpUntil = end
            setDeadline(end, context) { context.close(promise: nil) }
        } else if requestsInProgress == 0 {
            isIdle = true
            expect(within: Self.idle, context)
        } else {
            deadline = nil
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        expect(within: Self.request, context)
        connection = context.channel.http2Connection
        connection?.pipeline.fireUserInboundEventTriggered(ConnectionDeadline.StreamEvent.began)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connection?.pipeline.fireUserInboundEventTriggered(ConnectionDeadline.StreamEvent.ended)
        deadline = nil
        timer?.scheduled.cancel()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ArrivalNotice.Arrival else { return context.fireUserInboundEventTriggered(event) }
        guard isIdle else { return }
        isIdle = false
        began = context.eventLoop.now
        if heldUpUntil == nil { expect(within: Self.request, context) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { heldUpUntil = nil }
        if bodyEnd == nil { expectNext(context) }
        context.fireChannelWritabilityChanged()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            requestsInProgress += 1
            (isIdle, isDripping) = (false, false)
            let end = (began ?? context.eventLoop.now) + Self.request
            (bodyEnd, began) = (end, nil)
            setDeadline(end, context) { self.bodyIsLate(context) }
        case .body: break
        case .end:
            bodyEnd = nil
            // The answer may have gone out before the body was in.
            expectNext(context)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if let bodyEnd, !isDripping {
            isDripping = true
            watchBody(until: bodyEnd, context)
        }
        context.fireChannelReadComplete()
    }

    private func watchBody(until end: NIODeadline, _ context: ChannelHandlerContext) {
        setDeadline(min(context.eventLoop.now + Self.drip, end), context) {
            guard context.eventLoop.now < end, !self.isCrowded() else { return self.bodyIsLate(context) }
            self.watchBody(until: end, context)
        }
    }

    private func bodyIsLate(_ context: ChannelHandlerContext) {
        isLate = true
        expect(within: Self.lastAnswer, context)
        context.fireErrorCaught(Passed())
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where isLate && connection == nil:
            // What is still to come of the body isn't the next request.
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            context.write(data, promise: promise)
            // HTTP's parser gives up with an answer to what was no request; then there is no other.
            guard requestsInProgress > 0 else { return expect(within: Self.lastAnswer, context) }
            requestsInProgress -= 1
            if bodyEnd == nil { expectNext(context) }
        default: context.write(data, promise: promise)
        }
    }
}

extension Channel {
    /// The connection that this is an HTTP/2 stream of. What is above a connection is the listening socket, which has nothing
    /// above it.
    var http2Connection: (any Channel)? { parent.flatMap { $0.parent == nil ? nil : $0 } }
}
