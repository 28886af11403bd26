/// A JSON value (RFC 8259), as strict as tokens need it: no repeated members, no numbers out of range.
public enum JSONValue: Hashable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number without fraction or exponent that fits.
    case integer(Int64)
    /// Any other number; always finite.
    case number(Double)
    /// A text of Unicode scalars.
    case string(String)
    /// Values in their order.
    case array([JSONValue])
    /// Members in their order.
    case object(JSONObject)

    /// The text, if this is a string.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number, if this is one without fraction.
    public var integer: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    /// The members, if this is an object.
    public var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    /// The elements, if this is an array.
    public var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The strings, if this is an array of nothing else.
    public var strings: [String]? {
        guard let elements = array else { return nil }
        let strings = elements.compactMap(\.string)
        return strings.count == elements.count ? strings : nil
    }
}

/// A JSON object: members in the order they were written in, each name once.
public struct JSONObject: Hashable, Sendable {
    /// One member.
    public struct Member: Hashable, Sendable {
        /// The name, compared byte by byte.
        public let name: String
        /// The value.
        public var value: JSONValue
        fileprivate let nameKey: NameKey

        fileprivate init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
            nameKey = NameKey(name)
        }
    }

    /// The length and the first letters of a name: few names that differ have the same.
    fileprivate struct NameKey: Hashable, Sendable {
        private let word: UInt64

        init(_ name: String) {
            word = name.withCodeUnits { name in
                name.prefix(7).reduce(UInt64(truncatingIfNeeded: name.count)) { $0 << 8 | UInt64($1) }
            }
        }
    }

    /// The members in order.
    public private(set) var members: [Member] = []

    /// An object without members.
    public init() {}

    /// The value of a member. Setting `nil` removes it, setting a new one appends it.
    public subscript(name: String) -> JSONValue? {
        get { index(of: name).map { members[$0].value } }
        set {
            switch (index(of: name), newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }

    private func index(of name: String) -> Int? {
        let key = NameKey(name)
        return members.firstIndex { $0.nameKey == key && $0.name.isSpelt(name) }
    }

    /// Whether there is a member of a name.
    func contains(_ name: String) -> Bool { index(of: name) != nil }

    mutating func reserveCapacity(_ count: Int) { members.reserveCapacity(count) }

    /// Appends a member that the caller knows is new.
    mutating func append(_ name: String, _ value: JSONValue) {
        members.append(Member(name: name, value: value))
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// Of a repeated name the last value counts.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { self[name] = value }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(nilLiteral: ()) { self = .null }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}
