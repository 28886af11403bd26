internal import HTTPTypes
internal import Hummingbird
internal import JOSE

/// Finds out which client makes a request (RFC 6749 section 2.3, RFC 7523 section 2.2).
struct ClientAuthenticator: Sendable {
    let directory: ClientDirectory
    let assertions: ClientAssertions

    /// Who makes a request.
    enum Caller {
        case client(Client)
        /// The public client of log-ins, by its id.
        case firstParty
        /// Nobody says who it is.
        case nobody
    }

    /// The ways in which a client authenticates, as the metadata name them.
    static let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]

    /// - Throws: ``APIError`` `invalid_client`, or `invalid_request` where two ways are used at once.
    func caller(_ request: Request, _ parameters: OAuthParameters) async throws -> Caller {
        let basic = try Self.basicCredentials(of: request)
        let secret = parameters["client_secret"]
        let hasAssertion = parameters["client_assertion"] != nil || parameters["client_assertion_type"] != nil
        guard [basic != nil, secret != nil, hasAssertion].count(where: \.self) <= 1 else {
            throw APIError.invalidRequest("the client authenticates in more than one way")
        }
        let named = parameters["client_id"]
        if hasAssertion { return .client(try await assertions.client(parameters, named: named, in: directory)) }
        if let basic, let named, !named.isSpelt(basic.id) {
            throw APIError.invalidRequest("client_id isn't the one that authenticates")
        }
        guard let id = basic?.id ?? named else {
            if secret != nil { throw APIError.invalidRequest("client_id is missing") }
            return .nobody
        }
        let given = basic?.secret ?? secret ?? ""
        // Some libraries send the id of a public client with an empty password.
        if id.isSpelt(TokenIssuer.firstPartyClient), given.utf8.isEmpty { return .firstParty }
        guard let client = try await directory.client(id, where: { try $0.hasSecret(given) }) else {
            throw APIError.invalidClient("the client is unknown, or its secret is wrong or missing")
        }
        return .client(client)
    }

    /// The client that makes a request to an endpoint that is for clients with credentials only.
    func requireClient(_ request: Request, _ parameters: OAuthParameters) async throws -> Client {
        guard case .client(let client) = try await caller(request, parameters) else {
            throw APIError.invalidClient("this needs a client's authentication")
        }
        return client
    }

    /// Id and secret of the header, which are form-encoded before they are Basic's (RFC 6749 section 2.3.1).
    private static func basicCredentials(of request: Request) throws -> (id: String, secret: String)? {
        let fields = request.headers[values: .authorization]
        guard let field = fields.first else { return nil }
        let words = field.words
        guard fields.count == 1, field.utf8.count <= 4096, words.count == 2, words[0].utf8.count == 5,
            words[0].lowercased() == "basic", let credentials = base64(words[1])
        else { throw APIError.invalidClient("the Authorization header isn't one of the scheme Basic") }
        guard let colon = credentials.firstIndex(of: UInt8(ascii: ":")),
            let id = FormParameters.decode(credentials[..<colon]),
            let secret = FormParameters.decode(credentials[(colon + 1)...])
        else { throw APIError.invalidClient("the Authorization header isn't a client's id and secret") }
        return (id, secret)
    }

    /// The bytes that a text spells in standard base64 with its padding.
    private static func base64(_ text: String) -> [UInt8]? {
        let letters = Array(text.utf8)
        let padding = letters.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard letters.count % 4 == 0, padding <= 2 else { return nil }
        return Base64URL.decodeStandard(letters.dropLast(padding))
    }
}

extension Client {
    /// Whether a text is one of the client's secrets. Takes as long for each.
    fileprivate func hasSecret(_ text: String) throws -> Bool {
        let hash = try SHA256.hash(Array(text.utf8))
        return credentials.reduce(false) { isFound, credential in
            guard case .secretHash(let known) = credential else { return isFound }
            return constantTimeEquals(hash, known) || isFound
        }
    }
}
