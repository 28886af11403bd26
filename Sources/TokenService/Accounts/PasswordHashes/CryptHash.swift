internal import CCrypt
internal import Foundation
internal import JOSE

/// A hash of crypt(3)'s, in one of the forms in ``CryptScheme/table``.
struct CryptHash: Sendable {
    private let text: String

    init(_ text: String) throws(PasswordHash.Refusal) {
        try CryptScheme.check(text)
        // A libcrypt may be built without some schemes.
        let verdict = crypt_checksalt(text)
        guard [CRYPT_SALT_OK, CRYPT_SALT_METHOD_LEGACY, CRYPT_SALT_TOO_CHEAP].contains(verdict) else {
            throw .unknownForm
        }
        self.text = text
    }

    func matches(_ password: String) throws -> Bool {
        // No hash of crypt's is made of a longer one. It works as hard all the same.
        let phrase = Array(password.utf8.prefix(Self.maximumPhrase))
        guard let output = try output(phrase) else { return false }
        return constantTimeEquals(output, Array(text.utf8)) && phrase.count == password.utf8.count
    }

    private static let maximumPhrase = Int(CRYPT_MAX_PASSPHRASE_SIZE) - 1

    /// What crypt makes of a password by this hash's salt and cost; `nil` where it can't read them.
    func output(_ phrase: [UInt8]) throws -> [UInt8]? {
        let size = CCrypt_data_size()
        return try withWipedMemory(byteCount: Int(size) + phrase.count + 1) { memory in
            // Behind crypt's own data; the memory is zeroed, so that the copy ends with a zero.
            let copy = UnsafeMutableRawBufferPointer(rebasing: memory[Int(size)...])
            copy.copyBytes(from: phrase)
            errno = 0
            if let output = crypt_rn(
                copy.baseAddress!.assumingMemoryBound(to: CChar.self), text, memory.baseAddress, size)
            {
                return Array(UnsafeRawBufferPointer(start: output, count: strlen(output)))
            }
            guard errno == EINVAL || errno == ERANGE else {
                throw ServiceError(.failed, "crypt failed: \(String(cString: strerror(errno)))")
            }
            return nil
        }
    }
}
