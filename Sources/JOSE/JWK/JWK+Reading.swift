extension JWK {
    /// Reads a JWK, and checks the key as ``PublicKey/init(pem:)`` and ``PrivateKey/init(pem:passphrase:)`` do.
    ///
    /// - Throws: ``JOSEError`` `malformed` for missing or ill-formed members, `unsupported` for a key type, curve or
    ///   algorithm that isn't in the table (`oct` never is), `keyRefused` for a weak or inconsistent key and for one that
    ///   says it isn't for signatures.
    public init(members: JSONObject) throws {
        let reader = JWKReader(members: members)
        keyID = try reader.keyID()
        let hasPrivateHalf = members["d"] != nil
        try reader.checkPurpose(hasPrivateHalf: hasPrivateHalf)
        let algorithm = try reader.optional("alg").map(Algorithm.init(named:))
        let key = try reader.key(isPrivate: hasPrivateHalf)
        if hasPrivateHalf {
            let privateKey = try PrivateKey(checking: key)
            // OpenSSL believes the public half that is given; a mixed pair must not get in.
            guard try reader.key(isPrivate: false).hasSamePublicHalf(as: try reader.derivedPublicHalf(of: key)) else {
                throw JOSEError(.keyRefused, "a JWK whose private half belongs to another public one")
            }
            self.privateKey = privateKey
            publicKey = privateKey.publicKey
        } else {
            privateKey = nil
            publicKey = try PublicKey(checking: key)
        }
        if let algorithm, !algorithm.fits(publicKey.parameters) {
            throw JOSEError(.keyRefused, "a JWK whose alg, \(algorithm), doesn't go with its key")
        }
        self.algorithm = algorithm
    }

    /// Reads a JWK from its JSON text, of 64 KiB at the most.
    ///
    /// - Throws: as ``init(members:)``.
    public init(json: some Collection<UInt8>) throws {
        guard json.count <= maximumKeyFileSize else {
            throw JOSEError(.malformed, "a JWK over \(maximumKeyFileSize) bytes")
        }
        try self.init(members: JSONObject(json: json))
    }
}

/// Picks a key's numbers out of the members of a JWK.
private struct JWKReader {
    let members: JSONObject

    func optional(_ name: String) throws -> String? {
        guard let value = members[name] else { return nil }
        guard let text = value.string else { throw JOSEError(.malformed, "a JWK whose \(name) isn't a string") }
        return text
    }

    func required(_ name: String) throws -> String {
        guard let text = try optional(name) else { throw JOSEError(.malformed, "a JWK without \(name)") }
        return text
    }

    func bytes(_ name: String) throws -> [UInt8] {
        let bytes = try Base64URL.decode(try required(name))
        guard !bytes.isEmpty, bytes.count <= PublicKey.maximumRSABits / 8 else {
            throw JOSEError(.malformed, "a JWK whose \(name) has an impossible length")
        }
        return bytes
    }

    /// A public number of an RSA key, in its one spelling (RFC 7518 section 2, Base64urlUInt). The private ones may
    /// have zeros ahead, as some libraries write them.
    private func number(_ name: String) throws -> [UInt8] {
        let bytes = try bytes(name)
        guard bytes[0] != 0 else { throw JOSEError(.malformed, "a JWK whose \(name) has zeros ahead") }
        return bytes
    }

    func keyID() throws -> KeyID? {
        guard let text = try optional("kid") else { return nil }
        guard let keyID = KeyID(text) else {
            throw JOSEError(.malformed, "a JWK whose kid is empty, too long or not text")
        }
        return keyID
    }

    /// `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3), where they are there, must allow signatures.
    func checkPurpose(hasPrivateHalf: Bool) throws {
        if let use = try optional("use"), !use.isSpelt("sig") {
            throw JOSEError(.keyRefused, "a JWK whose use isn't sig")
        }
        guard let value = members["key_ops"] else { return }
        guard let operations = value.strings, Set(operations.map { Array($0.utf8) }).count == operations.count else {
            throw JOSEError(.malformed, "a JWK whose key_ops isn't a list of different strings")
        }
        func allows(_ name: String) -> Bool { operations.contains { $0.isSpelt(name) } }
        guard allows("verify") || hasPrivateHalf && allows("sign") else {
            throw JOSEError(.keyRefused, "a JWK whose key_ops doesn't allow signatures")
        }
    }

    func key(isPrivate: Bool) throws -> EVPKey {
        var components = KeyComponents()
        guard let type = KeyType(spelt: try required("kty")) else {
            throw JOSEError(.unsupported, "a key type other than RSA, EC and OKP")
        }
        switch type {
        case .rsa:
            guard members["oth"] == nil else { throw JOSEError(.unsupported, "an RSA key of more than two primes") }
            components.numbers = [("n", try number("n")), ("e", try number("e"))]
            if isPrivate {
                components.numbers += try JWK.privateRSAMembers.map { ($1, try bytes($0)) }
            }
        case .ellipticCurve:
            let curve = try curve()
            let (x, y) = (try bytes("x"), try bytes("y"))
            guard x.count == curve.coordinateSize, y.count == curve.coordinateSize else {
                throw JOSEError(.malformed, "a JWK whose x or y isn't \(curve.coordinateSize) bytes")
            }
            components.group = curve.openSSLName
            components.octets = [("pub", [4] + x + y)]
            if isPrivate { components.numbers = [("priv", try privateScalar(curve))] }
        case .octetKeyPair:
            guard try required("crv").isSpelt("Ed25519") else {
                throw JOSEError(.unsupported, "a curve other than Ed25519")
            }
            components.octets = [("pub", try octets("x"))]
            if isPrivate { components.octets.append(("priv", try octets("d"))) }
        }
        return try EVPKey.make(type, components, isPrivate: isPrivate)
    }

    /// The public half as the private one alone gives it.
    func derivedPublicHalf(of key: EVPKey) throws -> EVPKey {
        guard try key.parameters() == .ed25519 else { return key }
        return try EVPKey.make(.octetKeyPair, KeyComponents(octets: [("priv", try octets("d"))]), isPrivate: true)
    }

    private func curve() throws -> Curve {
        let name = try required("crv")
        guard let curve = Curve.table.first(where: { $0.name.isSpelt(name) }) else {
            throw JOSEError(.unsupported, "a curve other than P-256, P-384 and P-521")
        }
        return curve
    }

    private func privateScalar(_ curve: Curve) throws -> [UInt8] {
        let scalar = try bytes("d")
        guard scalar.count == curve.coordinateSize else {
            throw JOSEError(.malformed, "a JWK whose d isn't \(curve.coordinateSize) bytes")
        }
        return scalar
    }

    private func octets(_ name: String) throws -> [UInt8] {
        let octets = try bytes(name)
        guard octets.count == 32 else { throw JOSEError(.malformed, "a JWK whose \(name) isn't 32 bytes") }
        return octets
    }
}
