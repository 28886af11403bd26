internal import JOSE
internal import KeyService

/// Which user's hash is worked on for a name that nobody has.
///
/// Hashes that were imported are of other kinds and costs than today's, so one decoy for all would tell by its time which
/// names exist. Each such name gets an existing user's hash instead, always the same one: in kind and cost, names that
/// nobody has are like those that somebody has.
struct Decoys: Sendable {
    private let key: SecretBytes

    init(secret: MasterSecret) throws { key = try secret.keys(for: "log-in decoy v1")[0] }

    /// Where in the order of the users' random ids the decoy of a name is, as nobody can tell without the master secret.
    func pivot(for name: String) throws -> String {
        Base64URL.encode(try HMACSHA256.authenticationCode(for: Array(name.utf8), key: key).prefix(16))
    }
}
