import Testing

@testable import JOSE

@Suite("The JSON reader")
struct JSONReaderTests {
    @Test(
        "reads values",
        arguments: [
            ("null", .null), ("true", true), (" \t\r\n false ", false), ("0", 0), ("-0", 0), ("-1", -1),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.5", .number(1.5)), ("1e2", .number(100)),
            ("1E+2", .number(100)), ("1.5e-3", .number(0.0015)), ("-0.0", .number(-0.0)), ("0e1", .number(0)),
            ("1.7976931348623157e308", .number(.greatestFiniteMagnitude)),
            (#""""#, ""), (#""a""#, "a"), ("[]", []), ("[ ]", []), ("[1,[2]]", [1, [2]]), ("{}", [:]), ("{ }", [:]),
            (#"{"a":1, "b" : [ {} ] }"#, ["a": 1, "b": [[:]]]), (#"{"":null}"#, ["": .null]),
        ] as [(String, JSONValue)])
    func values(_ text: String, _ expected: JSONValue) throws { #expect(try JSONValue(json: text) == expected) }

    @Test(
        "reads strings",
        arguments: [
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u00E9""#, "Aéé"),
            (#""\ud83d\ude00""#, "😀"),
            (#""\u0000""#, "\0"), ("\"é😀\u{7F}\u{2028}\"", "é😀\u{7F}\u{2028}"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
            (#""\uFFFF""#, "\u{FFFF}"),
        ])
    func strings(_ text: String, _ expected: String) throws {
        #expect(try JSONValue(json: text).string?.isSpelt(expected) == true)
    }

    @Test(
        "refuses what isn't JSON",
        arguments: [
            "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "undefined", "'a'", "a", "{", "[", "]",
            "}", "[1",
            "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1]]", "1 2", "{]", "[}", "{\"a\"", "{\"a\":", "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}", "{,}", "{\"a\"}", "{\"a\" 1}", "{a:1}", "{1:1}", "{null:1}", "{\"a\":1 \"b\":2}",
            "{\"a\"::1}", "// c\n1",
            "/* c */1", "\u{FEFF}1", "\u{A0}1", "1\0", "\u{B}1",
        ])
    func notJSON(_ text: String) { expectMalformed(bytes(text)) }

    @Test(
        "refuses numbers that JSON doesn't have",
        arguments: [
            "01", "-01", "00", "-", "+1", "1.", ".5", "-.5", "1.e2", "1e", "1e+", "1e-", "1E", "0x10", "1_000", "1,5",
            "--1",
            "1e999", "-1e999", "1.8e308", "1e5.5", "٣", "1e99999999999999999999",
        ])
    func notNumbers(_ text: String) { expectMalformed(bytes(text)) }

    @Test(
        "refuses strings that JSON doesn't have",
        arguments: [
            #"""#, #""a"#, #""\"#, #""\""#, #""\x41""#, #""\a""#, #""\U0041""#, #""\u""#, #""\u004""#, #""\u004G""#,
            #""\u 041""#,
            #""\u+041""#, #""\u-041""#, #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800\ud800""#,
            #""\udc00\ud800""#,
            #""\ud800x""#, #""\ud83d\n""#, #""\ud83d\ude0""#,
        ])
    func notStrings(_ text: String) { expectMalformed(bytes(text)) }

    @Test("refuses control characters in strings", arguments: 0..<0x20 as Range<UInt8>)
    func controlCharacters(_ byte: UInt8) {
        expectMalformed([0x22, 0x61, byte, 0x22])
        expectMalformed([0x7B, 0x22, byte, 0x22, 0x3A, 0x31, 0x7D])
    }

    @Test(
        "refuses invalid UTF-8 in strings",
        arguments: [
            "80", "ff", "c3", "c328", "c080", "e08080", "eda080", "edbfbf", "f0808080", "f4908080", "f09f98", "fe",
        ])
    func invalidUTF8(_ digits: String) { expectMalformed([0x22] + hex(digits) + [0x22]) }

    @Test("refuses invalid UTF-8 in names and between values")
    func invalidUTF8Elsewhere() {
        expectMalformed([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D])
        expectMalformed([0x5B, 0xFF, 0x5D])
    }

    @Test("refuses UTF-16")
    func otherEncoding() { expectMalformed([0x5B, 0, 0x5D, 0]) }

    @Test(
        "refuses a repeated member, however it is spelt",
        arguments: [
            #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":2}"#, #"{"":1,"":2}"#,
            #"[{"a":{"b":1,"b":1}}]"#,
            #"{"é":1,"\u00E9":2}"#, #"{"/":1,"\/":2}"#, #"{"😀":1,"\ud83d\ude00":2}"#,
        ])
    func repeated(_ text: String) { expectMalformed(bytes(text)) }

    @Test("refuses a repeated member of an object of many", arguments: [1, 22, 23, 24, 25, 26, 500])
    func repeatedAmongMany(_ count: Int) throws {
        let members = (0..<count).map { #""name \#($0)":0"# }
        #expect(try JSONObject(json: "{\(members.joined(separator: ","))}".utf8).members.count == count)
        for name in ["name 0", "name \(count - 1)", #"n\u0061me \#(count / 2)"#] {
            expectMalformed(bytes("{\((members + ["\"\(name)\":1"]).joined(separator: ","))}"))
        }
    }

    @Test("takes names of one length that differ after their first letters")
    func similarNames() throws {
        let object = try JSONObject(json: #"{"status_a":1,"status_b":2,"status_":3}"#.utf8)
        #expect(object["status_a"] == 1 && object["status_b"] == 2 && object["status_"] == 3)
        #expect(object["status_c"] == nil)
    }

    @Test("takes names that differ by case, and one name in two objects")
    func different() throws {
        #expect(try JSONValue(json: #"{"a":{"a":1},"A":[{"a":1},{"a":1}]}"#).object?.members.count == 2)
    }

    @Test("reads 32 levels, and no more", arguments: [("[", "]"), (#"{"a":"#, "}"), (#"[{"a":"#, "}]")])
    func depth(_ open: String, _ close: String) throws {
        let levels = open.hasPrefix("[{") ? 16 : 32
        func nested(_ count: Int) -> [UInt8] {
            bytes(String(repeating: open, count: count) + "1" + String(repeating: close, count: count))
        }
        _ = try JSONValue(json: nested(levels))
        expectMalformed(nested(levels + 1))
        expectMalformed(bytes(String(repeating: open, count: 100_000)))
    }

    @Test("counts the depth of what is open, not of what was")
    func siblings() throws {
        _ = try JSONValue(json: "[" + String(repeating: "[[]],", count: 100) + "{}]")
    }

    @Test("reads an object where one is asked for", arguments: ["[]", "1", "null", #""{}""#])
    func notAnObject(_ text: String) {
        #expect(throws: JOSEError.of(.malformed)) { try JSONObject(json: bytes(text)) }
    }

    @Test("reads no text that is cut", arguments: [#"{"a":[true,null,"x\u00e9\n",-1.5e3,{"b":{}}]}"#])
    func everyPrefix(_ text: String) throws {
        _ = try JSONValue(json: text)
        for count in 0..<text.utf8.count { expectMalformed(Array(text.utf8.prefix(count))) }
    }

    private func expectMalformed(_ json: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(throws: JOSEError.of(.malformed), sourceLocation: sourceLocation) { try JSONValue(json: json) }
    }

    /// Swift compares and hashes strings by their normal form, which takes minutes for this.
    @Test("reads a member name of a million combining marks in no time", .timeLimit(.minutes(1)))
    func combiningMarks() throws {
        let marks = String(repeating: "\u{301}", count: 250_000) + String(repeating: "\u{323}", count: 250_000)
        let object = try JSONObject(json: Array(#"{"a\#(marks)":1,"alg":"a\#(marks)"}"#.utf8))
        #expect(object["alg"]?.string?.utf8.count == 1_000_001)
        #expect(object["a"] == nil)
    }

    @Test("tells names apart by their bytes, as no normal form is asked for")
    func equivalentNames() throws {
        let object = try JSONObject(json: Array("{\"\u{e9}\":1,\"e\u{301}\":2}".utf8))
        #expect(object["\u{e9}"] == 1)
        #expect(object["e\u{301}"] == 2)
    }
}
