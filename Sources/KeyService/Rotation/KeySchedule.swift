public import JOSE

/// The settings that decide when keys come and go.
public struct KeySchedule: Sendable {
    /// A signing key is kept for each; the first signs log-in tokens.
    public var algorithms: [Algorithm]
    /// The size of new RSA keys.
    public var rsaBits: Int
    /// How long a key signs before the automatic rotation replaces it; zero turns that off.
    public var rotateEvery: Duration
    /// How long a key is published before it signs.
    public var publishAhead: Duration
    /// How long verifiers may keep the JWKS.
    public var jwksMaxAge: Duration
    /// The longest lifetime of a token.
    public var tokenLifetime: Duration
    /// How far clocks may differ.
    public var clockLeeway: Duration

    /// A schedule with the service's defaults: ES256 and RS256 of 2048 bits, rotated every 30 days and published 1 h
    /// ahead, a JWKS to be kept for 5 min, tokens that live for 10 min, clocks that differ by 30 s.
    public init(
        algorithms: [Algorithm] = [.es256, .rs256], rsaBits: Int = 2048, rotateEvery: Duration = .seconds(30 * 86_400),
        publishAhead: Duration = .seconds(3600), jwksMaxAge: Duration = .seconds(300),
        tokenLifetime: Duration = .seconds(600), clockLeeway: Duration = .seconds(30)
    ) {
        self.algorithms = algorithms
        self.rsaBits = rsaBits
        self.rotateEvery = rotateEvery
        self.publishAhead = publishAhead
        self.jwksMaxAge = jwksMaxAge
        self.tokenLifetime = tokenLifetime
        self.clockLeeway = clockLeeway
    }

    /// How long a key must have been published before no verifier can be without it.
    func timeToBeSeen(_ records: [KeyRecord]) -> Duration {
        (records.map(\.longestMaxAge) + [jwksMaxAge]).max()! + clockLeeway * 2
    }

    /// Checks that `publish-ahead` outlasts every copy of the JWKS that a verifier may still hold, and that
    /// `rotate-every` is as long at least, or zero.
    ///
    /// - Throws: ``KeyServiceError`` `badSettings`, with the value that would do.
    public func check(against records: [KeyRecord]) throws {
        let needed = timeToBeSeen(records)
        guard publishAhead >= needed else {
            throw KeyServiceError(
                .badSettings,
                "publish-ahead is \(publishAhead.seconds)s, but verifiers were told to keep the JWKS for up to "
                    + "\((needed - clockLeeway * 2).seconds)s (jwks-max-age): set publish-ahead to at least \(needed.seconds)s, "
                    + "that plus twice clock-leeway")
        }
        guard rotateEvery == .zero || rotateEvery >= publishAhead else {
            throw KeyServiceError(
                .badSettings,
                "rotate-every is shorter than publish-ahead: set it to at least \(publishAhead.seconds)s, or to 0")
        }
    }
}

extension Duration {
    fileprivate var seconds: Int64 { components.seconds + (components.attoseconds > 0 ? 1 : 0) }
}
