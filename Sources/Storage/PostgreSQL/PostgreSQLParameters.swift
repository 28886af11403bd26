internal import CPostgreSQL

/// Parameters in binary form.
struct BoundParameters {
    private(set) var types: [Oid] = []
    /// All values behind one another, and where each lies; `nil` for null. A byte more ahead: an empty array has no address.
    private var storage: [UInt8] = [0]
    private var ranges: [Range<Int>?] = []

    /// None.
    init() {}

    init(_ parameters: [SQLValue]) throws {
        for parameter in parameters {
            let start = storage.count
            switch parameter {
            case .null:
                // The statement says of which type it is.
                types.append(0)
                ranges.append(nil)
                continue
            case .integer(let number):
                types.append(PostgreSQLType.int8.rawValue)
                let bytes = UInt64(bitPattern: number)
                storage += (0..<8).reversed().map { UInt8(truncatingIfNeeded: bytes >> (8 * $0)) }
            case .text(let text):
                guard !text.utf8.contains(0) else {
                    throw StorageError(.unexpected, "a text with a NUL character can't be stored")
                }
                types.append(PostgreSQLType.text.rawValue)
                storage.append(contentsOf: text.utf8)
            case .bytes(let bytes):
                types.append(PostgreSQLType.bytea.rawValue)
                storage.append(contentsOf: bytes)
            }
            ranges.append(start..<storage.count)
        }
    }

    var count: Int { types.count }

    func withPointers<Value>(
        _ body: (
            UnsafePointer<Oid>, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>
        ) -> Value
    ) -> Value {
        storage.withUnsafeBytes { bytes in
            let start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
            // One more each, too.
            let values = ranges.map { range in range.map { start + $0.lowerBound } } + [nil]
            let lengths = ranges.map { Int32($0?.count ?? 0) } + [0]
            let formats = [Int32](repeating: 1, count: ranges.count + 1)
            return values.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        (types + [0]).withUnsafeBufferPointer { types in
                            body(types.baseAddress!, values.baseAddress!, lengths.baseAddress!, formats.baseAddress!)
                        }
                    }
                }
            }
        }
    }
}

/// The types of columns and parameters (pg_type.dat).
enum PostgreSQLType: Oid {
    case bool = 16
    case bytea = 17
    case name = 19
    case int8 = 20
    case int2 = 21
    case int4 = 23
    case text = 25
    case varchar = 1043
}
