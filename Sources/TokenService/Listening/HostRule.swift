internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1

/// Refuses a request of HTTP/1 that doesn't name one host (RFC 9112 section 3.2): a proxy and this service might read two
/// different ones. The handlers from here on aren't told which version a request is of: it puts one where that is known.
final class HostRule: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        // There is no such codec in a stream of HTTP/2, which names its host by other means.
        if let codec = try? pipeline.handler(type: HTTP1ToHTTPServerCodec.self) {
            do { try pipeline.addHandler(HostCheck(), position: .before(codec)) } catch { context.close(promise: nil) }
        }
        pipeline.removeHandler(context: context, promise: nil)
    }
}

/// Ends with what names no host, as a head that can't be read does: 400, and the connection closes.
private final class HostCheck: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private var hasFailed = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data), !Self.namesOneHost(head) {
            hasFailed = true
            context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
        }
        // What follows isn't to be trusted to be what it looks like.
        if !hasFailed { context.fireChannelRead(data) }
    }

    /// Whether it names one host; before HTTP/1.1 it needn't name any.
    private static func namesOneHost(_ head: HTTPRequestHead) -> Bool {
        var isNamed = false
        for (name, value) in head.headers where name.utf8.count == 4 && name.lowercased() == "host" {
            // The parser leaves white space behind a value in place.
            guard !isNamed, value.utf8.reversed().drop(while: isSpace).allSatisfy(isOfHost) else { return false }
            isNamed = true
        }
        return isNamed || (head.version.major, head.version.minor) < (1, 1)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Whether a byte may be in a host and its port (RFC 3986 section 3.2).
    private static func isOfHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "-._~!$&'()*+,;=%:[]".utf8.contains(byte)
        }
    }
}
