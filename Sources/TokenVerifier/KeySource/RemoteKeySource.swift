internal import AsyncHTTPClient
internal import Foundation
public import JOSE
internal import NIOCore
internal import NIOHTTP1

/// The key set behind a URL, fetched anew at each call: nothing is cached.
public struct RemoteKeySource: KeySource {
    private let url: String

    /// The longest wait for an answer, in seconds.
    static let timeout: Int64 = 10

    /// - Throws: ``JOSEError`` `unsupported` for a URL that isn't https, unless it leads to this machine.
    public init(url: String) throws {
        guard let components = URLComponents(string: url), let host = components.host else {
            throw JOSEError(.malformed, "not a URL: \(url)")
        }
        let isLoopback = ["localhost", "127.0.0.1", "::1", "[::1]"].contains(host)
        guard components.scheme == "https" || components.scheme == "http" && isLoopback else {
            throw JOSEError(.unsupported, "keys over \(url) can't be trusted: use https")
        }
        self.url = url
    }

    public func keySet() async throws -> JWKSet {
        var configuration = HTTPClient.Configuration()
        // A redirect would let another host name the keys.
        configuration.redirectConfiguration = .disallow
        // Nobody there is an answer, too.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let set = try await withThrowingTaskGroup(of: JWKSet?.self) { group in
                group.addTask {
                    let response = try await client.execute(
                        HTTPClientRequest(url: url), timeout: .seconds(Self.timeout))
                    guard response.status == .ok else {
                        throw JOSEError(.unknownKey, "status \(response.status.code)")
                    }
                    return try JWKSet(json: try await response.body.collect(upTo: JWKSet.maximumSize).readableBytesView)
                }
                group.addTask {
                    try await Task.sleep(for: .seconds(Self.timeout))
                    return nil
                }
                defer { group.cancelAll() }
                guard let set = try await group.next() ?? nil else {
                    throw JOSEError(.unknownKey, "no whole answer in \(Self.timeout) s")
                }
                return set
            }
            try await client.shutdown()
            return set
        } catch {
            try? await client.shutdown()
            throw JOSEError((error as? JOSEError)?.code ?? .unknownKey, "no keys from \(url): \(error)")
        }
    }
}
