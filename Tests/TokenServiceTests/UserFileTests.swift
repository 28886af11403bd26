import JOSE
import Testing

@testable import TokenService

/// Reads all users of a file that comes in chunks of some size.
func importedUsers(_ bytes: [UInt8], chunk: Int = 7) throws -> [ImportedUser] {
    var rest = bytes[...]
    var reader = try UserFileReader {
        defer { rest = rest.dropFirst(chunk) }
        return Array(rest.prefix(chunk))
    }
    var users: [ImportedUser] = []
    while let user = try reader.next() { users.append(user) }
    return users
}

func importedUsers(_ text: String, chunk: Int = 7) throws -> [ImportedUser] {
    try importedUsers(Array(text.utf8), chunk: chunk)
}

@Suite("Reading a file of users")
struct UserFileTests {
    static let hash = "$1$saltsalt$NuzA7WTAelpl95xgBGWN60"
    private static let other = "$5$rounds=1000$Hzxqdm/5CAPYb0gI$Rv.od.8DhEwwzba5rm6sQX0FWTVb./NmsyKV6/gw4d/"

    @Test(
        "takes NDJSON and CSV, in chunks of any size, with any line ends",
        arguments: [
            """
            {"username":"Alice","password_hash":"HASH","claims":{"plan":"gold","n":[1,2.5]},"scope":"read write","disabled":true}
            {"password_hash":"OTHER","username":"bob"}

            """,
            """
            \u{FEFF}
               {"username":"\\u0041lice", "password_hash":"HASH", "scope":"read  write read", "disabled":true,
            """.replacing("\n", with: "\n ")
                + #" "claims":{"plan":"gold","n":[1,2.5]}}"# + "\r\n\r\n \t\r\n"
                + #"{"username":"bob","password_hash":"OTHER","claims":null,"scope":null,"disabled":null}"#,
            """
            username,password_hash,claims,scope,disabled
            Alice,HASH,"{""plan"":""gold"",""n"":[1,2.5]}",read write,true
            bob,OTHER,,,
            """,
            "\u{FEFF}disabled,scope,claims,password_hash,username\r\n\r\n"
                + "\"true\",read write,\"{\r\n\"\"plan\"\":\"\"gold\"\"\n,\"\"n\"\":[1,2.5]}\",HASH,\"Alice\"\r\n"
                + "false,\"\",\"\",OTHER,bob\r\n",
        ], [1, 2, 7, 100_000])
    func forms(text: String, chunk: Int) throws {
        let text = text.replacing("HASH", with: Self.hash).replacing("OTHER", with: Self.other)
            .replacing("disabled\":true,\n  \"claims", with: "disabled\":true, \"claims")
        let users = try importedUsers(text, chunk: chunk)
        #expect(users.map(\.name) == ["alice", "bob"])
        #expect(users.map(\.passwordHash) == [Self.hash, Self.other])
        #expect(users.map(\.claims) == [#"{"plan":"gold","n":[1,2.5]}"#, "{}"])
        #expect(users.map(\.scopes) == ["read write", ""])
        #expect(users.map(\.isDisabled) == [true, false])
    }

    @Test("needs no more than the first two columns, and may have no users")
    func few() throws {
        #expect(try importedUsers("username,password_hash\na,\(Self.hash)").map(\.name) == ["a"])
        #expect(try importedUsers("username,password_hash\n").isEmpty)
    }

    @Test(
        "counts lines as an editor does",
        arguments: [
            ("username,password_hash,claims\n\na,HASH,\"{\n\n}\"\nb,HASH,\nc,bad,", 7),
            ("{\"username\":\"a\",\"password_hash\":\"HASH\"}\n\n\n{\"username\":\"b\"}", 4),
            ("username,password_hash,claims\na,HASH,\"{\n\n}\"\nb,bad,\"\n\n\"", 5),
        ])
    func lines(text: String, line: Int) {
        let error = #expect(throws: UserFileProblem.self) {
            try importedUsers(text.replacing("HASH", with: Self.hash))
        }
        #expect(error?.line == line)
    }

    @Test("says what is wrong, in which line, and never repeats a hash", arguments: problems)
    func problem(text: String, line: Int?, words: String) throws {
        for chunk in [1, 100_000] {
            let error = #expect(throws: UserFileProblem.self) {
                try importedUsers(text.replacing("HASH", with: Self.hash), chunk: chunk)
            }
            #expect(error?.line == line)
            #expect(error?.text.contains(words) == true, "\(error?.text ?? "")")
            #expect(error?.text.contains("NuzA7WTAelpl95xgBGWN60") == false)
        }
    }

    private static let heading = "username,password_hash,claims,scope,disabled\n"
    static let problems: [(String, Int?, String)] = [
        ("", nil, "nothing in it"), (" \n\r\n\t", nil, "nothing in it"), ("\u{FEFF}", nil, "nothing in it"),
        // The heading.
        ("alice,HASH\n", 1, "heading"), ("HASH,password_hash\n", 1, "heading"), ("\n\nusername\na", 3, "heading"),
        ("username;password_hash\na;HASH", 1, "heading with commas"), ("\"username\"x,password_hash", 1, "heading"),
        ("Username,Password_Hash\na,HASH", 1, "heading"), ("[{}]", 1, "jq -c"),
        ("username,password_hash,e-mail\n", 1, "\"e-mail\""),
        ("username,password_hash,username\n", 1, "username is there twice"),
        ("username,password_hash,\n", 1, "\"\""),
        // Members.
        (
            #"{"username":"a","password_hash":"HASH","plan":1}"#, 1,
            "\"plan\" is none of username, password_hash, claims"
        ),
        (#"{"username":"a","password_hash":"HASH","Scope":""}"#, 1, "\"Scope\""),
        (#"{"username":"a"}"#, 1, "password_hash is missing"), (#"{"password_hash":"HASH"}"#, 1, "username is missing"),
        (#"{"username":null,"password_hash":"HASH"}"#, 1, "username is missing"),
        (#"{"username":1,"password_hash":"HASH"}"#, 1, "username isn't a text"),
        (#"{"username":"a","password_hash":["HASH"]}"#, 1, "password_hash isn't a text"),
        // JSON.
        (#"{"username":"a","password_hash":"HASH"} x"#, 1, "not a JSON object"), ("{\n}", 1, "not a JSON object"),
        (#"{"username":"a","username":"b","password_hash":"HASH"}"#, 1, "a repeated member"),
        (#"{"username":"a","password_hash":"HASH"}"# + "\nusername,password_hash", 2, "not a JSON object"),
        (#"{"username":"a","password_hash":"HASH"}"# + "\n[]", 2, "isn't an object"),
        // Rows.
        (heading + "a,HASH", 2, "2 fields where the heading has 5"), (heading + "a,HASH,{},,true,", 2, "6 fields"),
        (heading + "a,HASH,{\"a\":1},,", 2, "quote"), (heading + "\"a\"b,HASH,,,", 2, "quote"),
        (heading + "a,HASH,\"{},,\nb,HASH,,,", 2, "doesn't end"),
        // Values.
        (heading + ",HASH,,,", 2, "can't be a username"), (heading + "a b,HASH,,,", 2, "can't be a username"),
        (heading + String(repeating: "a", count: 1025) + ",HASH,,,", 2, "1024 bytes"),
        (heading + "HASH,alice,,,", 2, "password_hash is not a hash"),
        (heading + "a,,,,", 2, "password_hash is not a hash"),
        (heading + "a,$2b$20$yJjyVWsT995/7HAHljePtu4NTkSi6fVlrWnlO3nny.X42w24E3Spu,,,", 2, "costs too much"),
        (heading + "a,HASH,x,,", 2, "claims aren't JSON"), (heading + "a,HASH,[],,", 2, "aren't a JSON object"),
        (heading + "a,HASH,\"{\"\"Sub\"\":1}\",,", 2, "tokens use the claim Sub themselves"),
        (
            heading + "a,HASH,\"{\"\"a\"\":\"\"" + String(repeating: "x", count: 4096) + "\"\"}\",,", 2,
            "over 4096 bytes"
        ),
        (heading + "a,HASH,,é,", 2, "the scope é"), (heading + "a,HASH,,a\\b,", 2, "a scope is printable ASCII"),
        (heading + "a,HASH,," + String(repeating: "x", count: 2049) + ",", 2, "over 2048 bytes"),
        (#"{"username":"a","password_hash":"HASH","scope":["a"]}"#, 1, "the scope isn't a text"),
        (heading + "a,HASH,,,yes", 2, "neither true nor false"),
        (heading + "a,HASH,,,TRUE", 2, "neither true nor false"),
        (#"{"username":"a","password_hash":"HASH","disabled":"true"}"#, 1, "neither true nor false"),
        (#"{"username":"a","password_hash":"HASH","disabled":0}"#, 1, "neither true nor false"),
        // Sizes.
        (heading + "a,HASH,\"" + String(repeating: "\n", count: 70_000) + "\",,", 2, "65536 bytes"),
        (heading + String(repeating: "a", count: 70_000), 2, "65536 bytes"),
    ]

    @Test("refuses what isn't UTF-8, and names the line")
    func encoding() {
        for bytes in [
            Array("username,password_hash\n\u{E9},".utf8) + [0xE9] + Array(",\(Self.hash)".utf8),
            Array("username,password_hash\na".utf8) + [0xC3] + Array(",\(Self.hash)".utf8),
        ] {
            let error = #expect(throws: UserFileProblem.self) { try importedUsers(bytes) }
            #expect(error?.line == 2)
        }
        let json = Array(#"{"username":"a"#.utf8) + [0xFF] + Array(#"","password_hash":"\#(Self.hash)"}"#.utf8)
        let error = #expect(throws: UserFileProblem.self) { try importedUsers(json) }
        #expect(error?.text.contains("UTF-8") == true)
    }

    @Test("ends at the largest size")
    func size() throws {
        var reader = LineReader(maximumFile: 10_000) { Array("line\n".utf8) }
        let error = #expect(throws: UserFileProblem.self) { while try reader.next() != nil {} }
        #expect(error?.text.contains("10000 bytes") == true)
        #expect(reader.number == 2000)
    }

    @Test("writes CSV that it reads", arguments: ["a", "a,b", "a\"b", "\"", "a\r\nb", "", " a ", "\"\",\n"])
    func quoting(text: String) {
        var record: [UInt8] = []
        CSV.append(text, to: &record)
        record += ",x".utf8
        let fields = CSV.fields(of: record[...])?.map { String(decoding: $0, as: UTF8.self) }
        #expect(fields == [text, "x"])
    }
}
