import FuzzSupport
import JOSE

/// Any bytes as JSON: what is read is written, and read again, without loss.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { json in
        let object = try? JSONObject(json: json)
        guard let value = try? JSONValue(json: json) else {
            require(object == nil, "an object is a value")
            return
        }
        require(object == value.object, "an object is read as one, and nothing else is")
        require(depth(of: value) <= JSONValue.maximumDepth, "nesting has a limit")
        let written = value.json
        require(String(validating: written, as: UTF8.self) == value.jsonText, "JSON is UTF-8")
        let again = try JSONValue(json: written)
        require(again == value, "what is written is read again")
        // Composed and decomposed letters are equal in Swift, so are 0 and -0: equal values could be written differently.
        require(again.json == written, "what is read again is written the same")
    }
}

/// Checks on the way that each name is there once.
private func depth(of value: JSONValue) -> Int {
    switch value {
    case .array(let elements): return 1 + (elements.map(depth).max() ?? 0)
    case .object(let object):
        require(Set(object.members.map { Array($0.name.utf8) }).count == object.members.count, "names differ")
        return 1 + (object.members.map { depth(of: $0.value) }.max() ?? 0)
    default: return 0
    }
}
