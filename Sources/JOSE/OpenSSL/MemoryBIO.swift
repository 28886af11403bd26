internal import COpenSSL

/// A buffer in memory that OpenSSL reads from or writes to.
struct MemoryBIO: ~Copyable {
    let handle: OpaquePointer

    /// An empty buffer to write to, wiped when it goes.
    init() throws {
        handle = try check(BIO_new(BIO_s_secmem()), "BIO_new")
    }

    /// Appends some bytes.
    func write(_ bytes: [UInt8]) throws {
        guard bytes.isEmpty || BIO_write(handle, bytes, Int32(clamping: bytes.count)) == bytes.count else {
            throw JOSEError.openSSL("BIO_write")
        }
    }

    deinit { BIO_free_all(handle) }

    /// What was written, copied out of memory that is OpenSSL's and good until the next write.
    var text: String {
        var data: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_BIO_get_mem_data(handle, &data)
        guard let data, count > 0 else { return "" }
        return data.withMemoryRebound(to: UInt8.self, capacity: count) {
            String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
        }
    }
}
