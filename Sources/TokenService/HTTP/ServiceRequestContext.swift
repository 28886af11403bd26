public import Hummingbird
public import HummingbirdTokenVerifier
internal import Logging
internal import NIOCore
public import TokenVerifier

/// What the service knows of a request besides its content.
public struct ServiceRequestContext: TokenRequestContext {
    public var coreContext: CoreRequestContextStorage
    public var token: VerifiedToken<NoClaims>?
    /// The other end of the connection.
    let remoteAddress: String?

    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remoteAddress = source.channel.remoteAddress?.ipAddress
    }
}
