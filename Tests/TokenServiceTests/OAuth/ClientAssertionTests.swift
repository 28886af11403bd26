import HTTPTypes
import JOSE
import Storage
import Testing

@testable import TokenService

@Suite("A client's assertion (private_key_jwt)")
struct ClientAssertionTests {
    /// A service with a client that has a key, and one that has another.
    private struct Setup {
        let service: TestService
        let key: PrivateKey
        let algorithm: Algorithm
        let id: String
        var node: TestService

        init(_ algorithm: Algorithm = .es256) async throws {
            service = try await TestService()
            node = service
            self.algorithm = algorithm
            key = try PrivateKey.generate(for: algorithm)
            id = try await Self.add("job", key, service)
        }

        static func add(_ name: String, _ key: PrivateKey, _ service: TestService) async throws -> String {
            var request = ClientAdministration.Request(name: name)
            request.publicKey = try key.publicKey.pem()
            let registration = try await service.clients.add(request)
            #expect(registration.secret == nil)
            return registration.client.id
        }

        /// Good claims, with some changed.
        func claims(_ changes: [(String, JSONValue?)] = []) throws -> JSONObject {
            var claims: JSONObject = [
                "iss": .string(id), "sub": .string(id), "aud": .string(TestService.url),
                "exp": .integer(service.clock.now.seconds + 60),
                "jti": .string("jti-\(try randomBytes(8))"),
            ]
            for (name, value) in changes { claims[name] = value }
            return claims
        }

        func assertion(_ claims: JSONObject, header: JSONObject? = nil, signedBy other: PrivateKey? = nil) throws
            -> String
        {
            let header = header ?? ["alg": .string(algorithm.name), "typ": "JWT", "kid": "anything"]
            let input = [header.json, claims.json].map { Base64URL.encode($0) }.joined(separator: ".")
            return input + "."
                + Base64URL.encode(try (other ?? key).signature(of: Array(input.utf8), algorithm: algorithm))
        }

        func send(_ assertion: String, _ more: Parameters = [:]) async throws -> TestService.Answer {
            try await node.form(
                "/oauth2/token",
                [
                    "grant_type": "client_credentials", "client_assertion": assertion,
                    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ] + more)
        }

        func isRefused(_ assertion: String) async throws -> Bool {
            let answer = try await send(assertion)
            return answer.status == .unauthorized && answer.error == "invalid_client"
        }
    }

    @Test(
        "authenticates it, whatever the algorithm of its key",
        arguments: [Algorithm.es256, .rs256, .ps256, .edDSA, .es512])
    func accepted(algorithm: Algorithm) async throws {
        let setup = try await Setup(algorithm)
        let answer = try await setup.send(setup.assertion(setup.claims()))
        #expect(answer.status == .ok)
        #expect(try answer.claims["sub"] == .string(setup.id))
    }

    @Test("may be for the token endpoint, and go with the client_id")
    func endpoint() async throws {
        let setup = try await Setup()
        let claims = try setup.claims([("aud", .string(TestService.url + "/oauth2/token"))])
        #expect(try await setup.send(setup.assertion(claims), ["client_id": setup.id]).status == .ok)
    }

    @Test("is refused for claims that aren't as RFC 7523 section 3 has them")
    func claims() async throws {
        let setup = try await Setup()
        let now = setup.service.clock.now.seconds
        let refused: [(String, JSONValue?)] = [
            ("iss", nil), ("iss", "somebody"), ("sub", nil), ("sub", "somebody"), ("aud", nil),
            ("aud", "https://x.example"),
            // A list could name another server, which could use the assertion here.
            ("aud", [.string(TestService.url)]), ("aud", [.string(TestService.url), "https://x.example"]),
            ("aud", .string(TestService.url + "/")), ("aud", .string(TestService.url + "/oauth2/revoke")),
            ("exp", nil), ("exp", .integer(now - 31)), ("exp", .integer(now + 3631)), ("exp", "soon"),
            ("nbf", .integer(now + 31)), ("iat", .integer(now + 31)), ("jti", nil), ("jti", ""), ("jti", 7),
        ]
        for change in refused {
            #expect(try await setup.isRefused(setup.assertion(setup.claims([change]))), "\(change)")
        }
        for change in [("exp", .integer(now - 29)), ("exp", .integer(now + 3600)), ("nbf", .integer(now + 29))]
            as [(String, JSONValue?)]
        {
            #expect(try await setup.send(setup.assertion(setup.claims([change]))).status == .ok, "\(change)")
        }
    }

    @Test("is refused with another typ, another algorithm, an extension, or another key's signature")
    func headers() async throws {
        let setup = try await Setup()
        for header in [
            ["alg": "ES256", "typ": "at+jwt"], ["alg": "RS256"], ["alg": "none"], ["alg": "HS256"], [:],
            ["alg": "ES256", "crit": ["exp"]],
        ] as [JSONObject] {
            #expect(try await setup.isRefused(setup.assertion(setup.claims(), header: header)), "\(header)")
        }
        let stranger = try PrivateKey.generate(for: .es256)
        #expect(try await setup.isRefused(setup.assertion(setup.claims(), signedBy: stranger)))
        for header in [["alg": "ES256"], ["alg": "ES256", "typ": "client-authentication+jwt"]] as [JSONObject] {
            #expect(try await setup.send(setup.assertion(setup.claims(), header: header)).status == .ok)
        }
    }

    @Test("is good once, also at another node, while it might still be accepted")
    func once() async throws {
        var setup = try await Setup()
        let assertion = try setup.assertion(setup.claims())
        #expect(try await setup.send(assertion).status == .ok)
        #expect(try await setup.isRefused(assertion))
        setup.service.clock.advance(.seconds(89))
        try await setup.service.server.sweep()
        setup.node = try await setup.service.restarted([:])
        #expect(try await setup.isRefused(assertion))
    }

    @Test("is remembered no longer than it could be accepted")
    func forgotten() async throws {
        let setup = try await Setup()
        _ = try await setup.send(setup.assertion(setup.claims()))
        func count() async throws -> Int {
            try await setup.service.database.read { try $0.query("SELECT id FROM client_assertions").count }
        }
        #expect(try await count() == 1)
        setup.service.clock.advance(.seconds(120))
        try await setup.service.server.sweep()
        #expect(try await count() == 0)
    }

    @Test("that another client made is refused, and its jti is the other's own")
    func others() async throws {
        let setup = try await Setup()
        let key = try PrivateKey.generate(for: .es256)
        let other = try await Setup.add("other", key, setup.service)
        let claims = try setup.claims([("jti", "same")])
        #expect(try await setup.send(setup.assertion(claims)).status == .ok)
        let theirs = try setup.claims([("jti", "same"), ("iss", .string(other)), ("sub", .string(other))])
        #expect(try await setup.isRefused(setup.assertion(theirs)))
        #expect(try await setup.send(setup.assertion(theirs, signedBy: key)).status == .ok)
    }

    @Test("doesn't go with another client_id, another type, or another way of authenticating")
    func parameters() async throws {
        let setup = try await Setup()
        let job = try await setup.service.addClient("with-secret")
        #expect(try await setup.send(setup.assertion(setup.claims()), ["client_id": job.id]).error == "invalid_client")
        let both = try await setup.send(setup.assertion(setup.claims()), ["client_secret": "x"])
        #expect(both.error == "invalid_request")
        let typeOnly = try await setup.service.form(
            "/oauth2/token",
            [
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ])
        #expect(typeOnly.error == "invalid_client")
        let otherType = try await setup.service.form(
            "/oauth2/token",
            [
                "grant_type": "client_credentials", "client_assertion": try setup.assertion(setup.claims()),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
            ])
        #expect(otherType.error == "invalid_client")
    }

    @Test("isn't made by a client with a secret, nor is a secret taken from one with a key")
    func ways() async throws {
        let setup = try await Setup()
        let job = try await setup.service.addClient("with-secret")
        let claims = try setup.claims([("iss", .string(job.id)), ("sub", .string(job.id))])
        #expect(try await setup.isRefused(setup.assertion(claims)))
        let answer = try await setup.service.form(
            "/oauth2/token",
            ["grant_type": "client_credentials", "client_id": setup.id, "client_secret": try setup.key.publicKey.pem()])
        #expect(answer.error == "invalid_client")
    }

    @Test("is accepted with either of two keys while they are rotated")
    func rotation() async throws {
        let setup = try await Setup()
        let next = try PrivateKey.generate(for: .es256)
        let client = try await setup.service.clients.store.find("job")
        await #expect(throws: ServiceError.self) {
            try await setup.service.clients.rotate(client, publicKey: nil, immediately: false)
        }
        _ = try await setup.service.clients.rotate(client, publicKey: next.publicKey.pem(), immediately: false)
        setup.service.clock.advance(.seconds(1))
        #expect(try await setup.send(setup.assertion(setup.claims())).status == .ok)
        #expect(try await setup.send(setup.assertion(setup.claims(), signedBy: next)).status == .ok)
        _ = try await setup.service.clients.finishRotation(client)
        setup.service.clock.advance(.seconds(1))
        #expect(try await setup.isRefused(setup.assertion(setup.claims())))
        #expect(try await setup.send(setup.assertion(setup.claims(), signedBy: next)).status == .ok)
    }
}
