internal import Foundation
internal import JOSE

/// What an issuer says of itself (RFC 8414): where its keys are.
struct IssuerMetadata: Sendable {
    let issuer: String
    let documents: any DocumentSource

    /// Where the JWKS is.
    ///
    /// - Throws: ``VerifierUnavailable``.
    func jwksURL() async throws -> String {
        var failure: any Error = VerifierUnavailable("\(issuer) isn't the URL of an issuer")
        for url in locations {
            do {
                return try await jwksURL(from: url)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// Where the metadata may be (RFC 8414 section 3.1 and 5): the well-known part goes before the issuer's path, or, as
    /// OpenID Connect has it, behind it.
    private var locations: [String] {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        guard let components = URLComponents(string: base) else { return [] }
        let behind = [
            base + "/.well-known/oauth-authorization-server", base + "/.well-known/openid-configuration",
        ]
        guard !components.path.isEmpty else { return behind }
        var before = components
        before.path = "/.well-known/oauth-authorization-server" + components.path
        return (before.string.map { [$0] } ?? []) + behind
    }

    private func jwksURL(from url: String) async throws -> String {
        guard let body = try await documents.document(at: url, entityTag: nil).body else {
            throw VerifierUnavailable("\(url) answers nothing")
        }
        do {
            let metadata = try JSONObject(json: body)
            // Otherwise one issuer could speak for another (RFC 8414 section 3.3).
            guard let named = metadata["issuer"]?.string, named.isSpelt(issuer) else {
                throw VerifierUnavailable("\(url) is another issuer's")
            }
            guard let jwksURL = metadata["jwks_uri"]?.string else {
                throw VerifierUnavailable("\(url) names no jwks_uri")
            }
            return jwksURL
        } catch let error as JOSEError {
            throw VerifierUnavailable("\(url) can't be read: \(error)")
        }
    }
}
