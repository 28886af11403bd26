internal import NIOCore
internal import NIOHTTPTypes

/// Closes a connection whose request doesn't arrive whole in time, however slowly it drips, and one that is idle for long.
/// Who reads a body that is late is told first, so that there is an answer.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart

    /// How long a head may take, counted from the connection or from the first byte after the answer before.
    private static let head = TimeAmount.seconds(15)
    /// How long a connection may be idle after an answer: longer than common load balancers keep theirs, so that it is they
    /// who close them.
    private static let idle = TimeAmount.seconds(75)
    /// How long a body may take after that.
    private static let body = TimeAmount.seconds(15)
    /// How long the answer to a late body may take.
    private static let lateAnswer = TimeAmount.seconds(5)
    /// How long a client may take to read an answer.
    private static let answer = TimeAmount.seconds(30)

    /// What the body of a request ends with that is late.
    struct Passed: Error {}

    private struct Deadline {
        let at: NIODeadline
        let act: () -> Void
    }

    /// What is waited for; `nil` while nothing is.
    private var deadline: Deadline?
    /// Fires at the deadline or before. Each request moves the deadline thrice, and a timer costs more than looking again.
    private var timer: (at: NIODeadline, scheduled: Scheduled<Void>)?
    private var requestsInProgress = 0
    private var isReading = false
    /// Whether nothing has come since the answer before.
    private var isIdle = false
    /// The connection that this is a stream of.
    private var connection: (any Channel)?

    private func expect(within time: TimeAmount, _ context: ChannelHandlerContext) {
        setDeadline(in: time, context) { context.close(promise: nil) }
    }

    private func expectNextRequest(_ context: ChannelHandlerContext) {
        isIdle = true
        expect(within: Self.idle, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ArrivalNotice.Arrival else { return context.fireUserInboundEventTriggered(event) }
        guard isIdle else { return }
        isIdle = false
        expect(within: Self.head, context)
    }

    private func expectBody(_ context: ChannelHandlerContext) {
        setDeadline(in: Self.body, context) {
            self.expect(within: Self.lateAnswer, context)
            context.fireErrorCaught(Passed())
        }
    }

    private func setDeadline(in time: TimeAmount, _ context: ChannelHandlerContext, _ act: @escaping () -> Void) {
        let deadline = Deadline(at: context.eventLoop.now + time, act: act)
        self.deadline = deadline
        if let timer, timer.at <= deadline.at { return }
        startTimer(deadline.at, context)
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

    func handlerAdded(context: ChannelHandlerContext) {
        expect(within: Self.head, context)
        // The connection of an HTTP/2 stream; that of HTTP/1.1 has the listening socket above it, which has nothing.
        if let parent = context.channel.parent, parent.parent != nil { connection = parent }
        connection?.pipeline.fireUserInboundEventTriggered(ConnectionDeadline.StreamEvent.began)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connection?.pipeline.fireUserInboundEventTriggered(ConnectionDeadline.StreamEvent.ended)
        deadline = nil
        timer?.scheduled.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            isIdle = false
            requestsInProgress += 1
            isReading = true
            expectBody(context)
        case .body: break
        case .end:
            isReading = false
            deadline = nil
            // The answer may have gone out before the body was in.
            if requestsInProgress == 0 { expectNextRequest(context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head where !isReading: expect(within: Self.answer, context)
        case .end:
            requestsInProgress -= 1
            if !isReading { requestsInProgress == 0 ? expectNextRequest(context) : (deadline = nil) }
        default: break
        }
        context.write(data, promise: promise)
    }
}
