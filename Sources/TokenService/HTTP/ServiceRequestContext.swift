public import Hummingbird
public import HummingbirdTokenVerifier
internal import Logging
internal import NIOCore
public import TokenVerifier

/// What the service knows of a request besides its content.
public struct ServiceRequestContext: TokenRequestContext {
    public var coreContext: CoreRequestContextStorage
    public var token: VerifiedToken<NoClaims>?
    private let remote: SocketAddress?

    /// The other end of the connection.
    var remoteAddress: String? { remote?.ipAddress }

    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remote = source.channel.remoteAddress
    }
}
