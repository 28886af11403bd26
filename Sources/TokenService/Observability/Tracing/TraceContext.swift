internal import JOSE
internal import Logging

/// A request's place in a distributed trace (W3C Trace Context, section 3.2).
struct TraceContext: Sendable, Equatable {
    /// 32 hexadecimal digits.
    let traceID: String
    /// Of the caller's span: 16 hexadecimal digits.
    let parentID: String
    /// Two hexadecimal digits; the last bit says that the caller records.
    let flags: String

    /// The value of a `traceparent` field.
    var traceparent: String { "00-\(traceID)-\(parentID)-\(flags)" }

    /// Reads a `traceparent` field; one of a version that isn't known counts as far as it is.
    init?(traceparent field: String) {
        let bytes = Array(field.utf8.prefix(256))
        guard bytes.count >= 55, bytes[2] == Self.hyphen, bytes[35] == Self.hyphen, bytes[52] == Self.hyphen else {
            return nil
        }
        let (version, trace, parent, flags) = (bytes[..<2], bytes[3..<35], bytes[36..<52], bytes[53..<55])
        let isFirstVersion = version.elementsEqual("00".utf8)
        guard [version, trace, parent, flags].allSatisfy({ $0.allSatisfy(Self.isDigit) }),
            !version.elementsEqual("ff".utf8), trace.contains(where: { $0 != Self.zero }),
            parent.contains(where: { $0 != Self.zero }),
            bytes.count == 55 || (!isFirstVersion && bytes[55] == Self.hyphen)
        else { return nil }
        traceID = String(decoding: trace, as: UTF8.self)
        parentID = String(decoding: parent, as: UTF8.self)
        self.flags = String(decoding: flags, as: UTF8.self)
    }

    /// The beginning of a trace, for a request that has none.
    init() {
        func digits(_ number: UInt64) -> String {
            let text = String(number, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        traceID = digits(.random(in: 1...(.max))) + digits(.random(in: 0...(.max)))
        parentID = digits(.random(in: 1...(.max)))
        flags = "00"
    }

    private static let hyphen = UInt8(ascii: "-")
    private static let zero = UInt8(ascii: "0")

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}

/// The trace of a request, which is read or made once somebody asks: few requests log a line.
final class RequestTrace: Sendable {
    private let field: String?
    private let made = Locked<TraceContext?>(nil)

    /// Of the request that is answered.
    @TaskLocal static var current: RequestTrace?

    /// - Parameter field: the request's `traceparent`.
    init(field: String?) { self.field = field }

    var context: TraceContext {
        made.withLock { made in
            if let made { return made }
            let context = field.flatMap(TraceContext.init(traceparent:)) ?? TraceContext()
            made = context
            return context
        }
    }
}

extension Logger.MetadataProvider {
    /// Says in each line which trace it belongs to.
    static let trace = Logger.MetadataProvider {
        guard let trace = RequestTrace.current else { return [:] }
        return ["trace_id": "\(trace.context.traceID)"]
    }
}
