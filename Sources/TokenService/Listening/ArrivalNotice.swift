internal import NIOCore

/// Tells ``RequestDeadline`` that something came in, of which nothing may be to be seen yet behind HTTP's parser.
final class ArrivalNotice: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Bytes came in.
    struct Arrival {}

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireUserInboundEventTriggered(Arrival())
        context.fireChannelRead(data)
    }
}
