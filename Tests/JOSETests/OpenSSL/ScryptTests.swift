import Testing

@testable import JOSE

@Suite("scrypt")
struct ScryptTests {
    /// RFC 7914 section 12, without the last, which takes a gigabyte.
    private static let vectors: [(password: String, salt: String, logN: Int, r: Int, p: Int, hash: String)] = [
        (
            "", "", 4, 1, 1,
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                + "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
        ),
        (
            "password", "NaCl", 10, 8, 16,
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                + "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
        ),
        (
            "pleaseletmein", "SodiumChloride", 14, 8, 1,
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        ),
    ]

    @Test("makes the hashes of RFC 7914", arguments: vectors)
    func vector(password: String, salt: String, logN: Int, r: Int, p: Int, hash: String) throws {
        let made = try Scrypt.hash(
            Array(password.utf8), salt: Array(salt.utf8), logN: logN, r: r, p: p, count: hash.utf8.count / 2)
        #expect(made.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == hash)
    }

    @Test("says why it can't, and leaves no error behind", arguments: [(16, 1, 1), (4, 0, 1), (4, 1, 0)])
    func refused(logN: Int, r: Int, p: Int) {
        let error = #expect(throws: JOSEError.self) {
            try Scrypt.hash([1], salt: [1], logN: logN, r: r, p: p, count: 32)
        }
        #expect(error?.code == .openSSL)
        #expect(OpenSSLErrorQueue.drain().isEmpty)
    }
}

@Suite("Memory that is wiped")
struct WipedMemoryTests {
    @Test("begins as zeros, and is as long as was asked for")
    func zeros() {
        withWipedMemory(byteCount: 32_768 + 7) { memory in
            #expect(memory.count == 32_775)
            #expect(memory.allSatisfy { $0 == 0 })
            memory[32_774] = 1
        }
    }
}
