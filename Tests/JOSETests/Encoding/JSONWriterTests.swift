import Testing

@testable import JOSE

@Suite("The JSON writer")
struct JSONWriterTests {
    @Test(
        "writes the shortest text",
        arguments: [
            (.null, "null"), (true, "true"), (false, "false"), (.integer(.min), "-9223372036854775808"), (0, "0"),
            (.number(1.5), "1.5"), ("", #""""#), ([], "[]"), ([1, [], [:]], "[1,[],{}]"), ([:], "{}"),
            (["b": 1, "a": ["c": .null]], #"{"b":1,"a":{"c":null}}"#), ("a/é😀\u{7F}", "\"a/é😀\u{7F}\""),
            ("\"\\", #""\"\\""#), ("\n\0\u{1F}", #""\u000a\u0000\u001f""#), (["\"": 1], #"{"\"":1}"#),
        ] as [(JSONValue, String)])
    func texts(_ value: JSONValue, _ expected: String) { #expect(value.jsonText == expected) }

    @Test(
        "writes what the reader reads back",
        arguments: [
            .null, .integer(.max), .integer(.min), .number(0.1), .number(-0.0), .number(.leastNonzeroMagnitude),
            .number(1e21),
            .number(1e16),
            .number(.greatestFiniteMagnitude), .number(123_456_789.125), .number(1),
            "\u{0}\u{1F}\u{7F}\u{80}\u{2028}\u{10FFFF}\"\\/",
            ["a": [1, ["b": "c"], .null], "": ""], [[[[]]]],
        ] as [JSONValue])
    func roundTrip(_ value: JSONValue) throws { #expect(try JSONValue(json: value.json) == value) }

    @Test("writes an object of an object, with its members in their order")
    func object() throws {
        let object: JSONObject = ["z": 1, "a": 2]
        #expect(object.jsonText == #"{"z":1,"a":2}"#)
        #expect(try JSONObject(json: object.json) == object)
        var text: [UInt8] = []
        JSONWriter.appendMembers(of: object, to: &text)
        #expect(text == bytes(#""z":1,"a":2"#))
    }

    @Test("writes an object member by member as it writes the whole one")
    func memberByMember() throws {
        var writer = JSONObjectWriter(capacity: 10)
        writer.append("a", String("x\"\n"))
        writer.append("b", Int64(-1))
        writer.append([:])
        writer.append("c", .array([["d": .null]]))
        writer.append(["e": true, "f": [:]])
        writer.append("g") { inner in
            inner.append("h") { _ in }
            inner.append("i", Int64(0))
        }
        let whole: JSONObject = [
            "a": "x\"\n", "b": -1, "c": [["d": .null]], "e": true, "f": [:], "g": ["h": [:], "i": 0],
        ]
        #expect(writer.json() == whole.json)
        #expect(JSONObjectWriter(capacity: 0).json() == bytes("{}"))
        var other = JSONObjectWriter(capacity: 0)
        other.append(["g": 1])
        #expect(other.json() == bytes(#"{"g":1}"#))
    }

    @Test("has objects whose members are set, replaced and taken out")
    func members() {
        var object: JSONObject = ["a": 1, "b": 2, "a": 3]
        #expect(object.jsonText == #"{"a":3,"b":2}"#)
        object["c"] = .null
        object["b"] = nil
        object["a"] = "x"
        object["d"] = nil
        #expect(object.jsonText == #"{"a":"x","c":null}"#)
        #expect(object["c"] == .some(.null))
        #expect(object["b"] == nil)
    }

    @Test("has values that are of one type only")
    func types() {
        #expect(JSONValue.number(1).integer == nil)
        #expect(JSONValue.integer(1).string == nil)
        #expect((["a", "b"] as JSONValue).strings == ["a", "b"])
        #expect((["a", 1] as JSONValue).strings == nil)
        #expect(("a" as JSONValue).strings == nil)
        #expect(([:] as JSONValue).array == nil)
        #expect(([] as JSONValue).object == nil)
    }
}
