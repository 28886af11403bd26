internal import AsyncHTTPClient
internal import Foundation
internal import JOSE
internal import NIOCore
internal import NIOHTTP1

/// Fetches documents over HTTP, within bounds of time and size, over https unless the other end is this machine.
package struct HTTPDocuments: DocumentSource {
    /// The longest wait for a whole answer.
    private static let timeout = Duration.seconds(10)
    private static let maximumRedirects = 3

    package init() {}

    /// One for the whole process: idle connections are kept for the next look.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        // Nobody there is an answer, too.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    package func document(at url: String, entityTag: String?) async throws -> FetchedDocument {
        try await withThrowingTaskGroup(of: FetchedDocument?.self) { group in
            group.addTask {
                do {
                    return try await Self.fetch(url, entityTag: entityTag)
                } catch let error as VerifierUnavailable {
                    throw error
                } catch {
                    throw VerifierUnavailable("no answer from \(url): \(error)")
                }
            }
            group.addTask {
                try await Task.sleep(for: Self.timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let document = try await group.next() ?? nil else {
                throw VerifierUnavailable("no whole answer from \(url) in \(Self.timeout.components.seconds) s")
            }
            return document
        }
    }

    private static func fetch(_ url: String, entityTag: String?) async throws -> FetchedDocument {
        var url = url
        for _ in 0...maximumRedirects {
            try check(url)
            var request = HTTPClientRequest(url: url)
            if let entityTag { request.headers.add(name: "If-None-Match", value: entityTag) }
            let response = try await client.execute(request, timeout: .seconds(timeout.components.seconds))
            switch response.status {
            case .ok:
                return FetchedDocument(
                    body: Array(buffer: try await response.body.collect(upTo: JWKSet.maximumSize)),
                    entityTag: response.headers.first(name: "ETag"), maxAge: maxAge(response.headers))
            case .notModified where entityTag != nil:
                return FetchedDocument(body: nil, entityTag: entityTag, maxAge: maxAge(response.headers))
            case .movedPermanently, .found, .temporaryRedirect, .permanentRedirect:
                // Another origin could name the keys then.
                guard let location = response.headers.first(name: "Location"),
                    let target = URL(string: location, relativeTo: URL(string: url))?.absoluteString,
                    WebOrigin.of(target) == WebOrigin.of(url)
                else { throw VerifierUnavailable("\(url) redirects to another origin, which isn't followed") }
                url = target
            default: throw VerifierUnavailable("\(url) answers \(response.status.code)")
            }
        }
        throw VerifierUnavailable("\(url) redirects too often")
    }

    /// - Throws: ``VerifierUnavailable`` for a URL that isn't https, unless it leads to this machine.
    package static func check(_ url: String) throws {
        guard let components = URLComponents(string: url), let host = components.host, !host.isEmpty,
            components.user == nil, components.password == nil
        else { throw VerifierUnavailable("not a URL: \(url)") }
        guard components.scheme == "https" || components.scheme == "http" && WebOrigin.isLoopback(host: host) else {
            throw VerifierUnavailable("what comes over \(url) can't be trusted: use https")
        }
    }

    /// What is left of `max-age` of Cache-Control (RFC 9111 sections 4.2 and 5.2.2.1); zero for an answer that mustn't be
    /// kept.
    private static func maxAge(_ headers: HTTPHeaders) -> Duration? {
        let directives = headers[canonicalForm: "Cache-Control"].map { $0.lowercased() }
        if directives.contains("no-store") || directives.contains("no-cache") { return .zero }
        let value = directives.first { $0.hasPrefix("max-age=") }.map { $0.dropFirst("max-age=".count) }
        let age = headers.first(name: "Age").flatMap { Int64($0) } ?? 0
        return value.flatMap { Int64($0) }.map { .seconds(min(max($0, 0), 1 << 31) - min(max(age, 0), 1 << 31)) }
    }
}
