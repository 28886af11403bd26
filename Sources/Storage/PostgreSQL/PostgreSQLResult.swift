internal import CPostgreSQL

/// An answer of the server.
final class PostgreSQLResult {
    private let handle: OpaquePointer?

    init(_ handle: OpaquePointer?) { self.handle = handle }

    deinit { PQclear(handle) }

    var isNone: Bool { handle == nil }

    /// Whether the server has said all to what was sent together.
    var isEndOfPipeline: Bool { PQresultStatus(handle) == PGRES_PIPELINE_SYNC }

    var isSuccess: Bool { [PGRES_COMMAND_OK, PGRES_TUPLES_OK].contains(PQresultStatus(handle)) }

    /// Five letters (appendix A of PostgreSQL's manual); empty where the server said nothing.
    var sqlState: String { field(CPostgreSQL_diagnostic_sqlstate()) ?? "" }
    var message: String? { field(CPostgreSQL_diagnostic_message()) }

    private func field(_ code: Int32) -> String? { PQresultErrorField(handle, code).map { String(cString: $0) } }

    var changedCount: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

    var rows: [Row] {
        get throws {
            let columns = 0..<PQnfields(handle)
            let names = columns.map { String(cString: PQfname(handle, $0)) }
            let types = columns.map { PQftype(handle, $0) }
            return try (0..<PQntuples(handle)).map { row in
                Row(names: names, values: try columns.map { try value(row, $0, types[Int($0)]) })
            }
        }
    }

    private func value(_ row: Int32, _ column: Int32, _ type: Oid) throws -> SQLValue {
        if PQgetisnull(handle, row, column) == 1 { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
        switch PostgreSQLType(rawValue: type) {
        case .int2, .int4, .int8:
            let sign: UInt64 = bytes.first.map { $0 & 0x80 != 0 } ?? false ? .max : 0
            return .integer(Int64(bitPattern: bytes.reduce(sign) { $0 << 8 | UInt64($1) }))
        case .bool: return .integer(bytes.first == 0 ? 0 : 1)
        case .text, .varchar, .name: return .text(String(decoding: bytes, as: UTF8.self))
        case .bytea: return .bytes(Array(bytes))
        case nil:
            throw StorageError(.unexpected, "the database answered a column of a type that isn't known here: \(type)")
        }
    }
}
