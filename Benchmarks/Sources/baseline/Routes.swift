internal import Hummingbird
internal import JOSE

/// What is answered where, as the file of the first argument has it.
struct Routes: Decodable {
    let ready: [ReadyAnswer]
    let signed: [SignedAnswer]

    func router() throws -> Router<BasicRequestContext> {
        let router = Router()
        for answer in ready {
            let response = Response(
                status: .init(code: answer.status), headers: fields(answer.headers),
                body: answer.body.isEmpty ? .init() : .init(byteBuffer: ByteBuffer(string: answer.body)))
            router.get(RouterPath(answer.path)) { _, _ in response }
        }
        for answer in signed {
            let (signer, headers) = (try answer.signer(), fields(answer.headers))
            let (claims, before, after) = (Array(answer.claims.utf8), answer.before, answer.after)
            router.post(RouterPath(answer.path)) { _, _ in
                let body = ByteBuffer(string: before + (try signer.sign(claims)) + after)
                return Response(status: .ok, headers: headers, body: .init(byteBuffer: body))
            }
        }
        return router
    }

    private func fields(_ headers: [String: String]) -> HTTPFields {
        var fields = HTTPFields()
        for (name, value) in headers { fields[.init(name)!] = value }
        return fields
    }
}

/// An answer to GET that is the same each time.
struct ReadyAnswer: Decodable {
    let path: String
    let status: Int
    let headers: [String: String]
    let body: String
}

/// An answer to POST with a token of claims that are ready, signed anew each time. What is posted isn't read.
struct SignedAnswer: Decodable {
    let path: String
    let algorithm: String
    /// JSON.
    let claims: String
    let headers: [String: String]
    /// The body, but for the token in it.
    let before: String
    let after: String

    func signer() throws -> JWSSigner {
        let algorithm = try Algorithm(named: algorithm)
        let key = try PrivateKey.generate(for: algorithm)
        return try JWSSigner(
            key: key, keyID: try key.publicKey.thumbprint(), algorithm: algorithm, type: "at+jwt")
    }
}
