internal import COpenSSL

/// OpenSSL's error queue of this thread, drained until it is empty so that nothing is left for the next caller.
enum OpenSSLErrorQueue {
    static func drain() -> [String] {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error_all(nil, nil, nil, nil, nil)
            guard code != 0 else { return reasons }
            if let reason = ERR_reason_error_string(code) {
                reasons.append(String(cString: reason))
            } else {
                reasons.append("error \(code)")
            }
        }
    }
}

extension JOSEError {
    /// The failure of an OpenSSL call, with all that OpenSSL says of it.
    static func openSSL(_ call: StaticString) -> JOSEError {
        let reasons = OpenSSLErrorQueue.drain()
        return JOSEError(
            .openSSL, "OpenSSL's \(call) failed" + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: ", ")))
    }
}

/// Throws unless an OpenSSL call answered 1.
func check(_ result: Int32, _ call: StaticString) throws {
    guard result == 1 else { throw JOSEError.openSSL(call) }
}

/// Throws unless an OpenSSL call made something.
func check<Handle>(_ handle: Handle?, _ call: StaticString) throws -> Handle {
    guard let handle else { throw JOSEError.openSSL(call) }
    return handle
}
