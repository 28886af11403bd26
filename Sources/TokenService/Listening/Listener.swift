internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdHTTP2
internal import Logging
internal import NIOCore
internal import NIOSSL

/// How connections are taken: HTTP/1.1, or with a certificate TLS, and HTTP/2 for who asks for it by ALPN.
enum Listener {
    /// - Parameter isCrowded: whether so many requests are under way that none may take its time to arrive.
    static func builder(
        certificate: ServerCertificate?, isCrowded: @escaping @Sendable () -> Bool
    ) -> HTTPServerBuilder {
        let http1 = HTTP1Channel.Configuration(
            additionalChannelHandlers: [HostRule(), RequestDeadline(isCrowded: isCrowded), GracefulClose()],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: maximumHead, maxHeaderListSize: maximumHead, maxHeaderFieldCount: 100))
        return HTTPServerBuilder { responder in
            guard let certificate else {
                return PlainConnection(base: HTTP1Channel(responder: responder, configuration: http1))
            }
            var http2 = HTTP2Channel.Configuration(idleTimeout: .seconds(75), gracefulCloseTimeout: .seconds(10))
            http2.streamConfiguration = http1
            return TLSConnection(
                base: try HTTP2UpgradeChannel(
                    tlsConfiguration: certificate.configuration, configuration: http2, responder: responder))
        }
    }

    /// The longest head of a request, in bytes.
    private static let maximumHead = 32 * 1024
}

/// A connection that isn't encrypted.
private struct PlainConnection: ServerChildChannel {
    let base: HTTP1Channel

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            try channel.pipeline.syncOperations.addHandler(ArrivalNotice(), position: .first)
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// A connection that is encrypted.
private struct TLSConnection: ServerChildChannel {
    let base: HTTP2UpgradeChannel

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP2UpgradeChannel.Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let tls = try pipeline.handler(type: NIOSSLServerHandler.self)
            try pipeline.addHandlers([ConnectionDeadline(), ArrivalNotice()], position: .after(tls))
            return value
        }
    }

    func handle(value: HTTP2UpgradeChannel.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
