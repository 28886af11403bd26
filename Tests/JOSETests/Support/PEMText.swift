import Foundation

/// A PEM text taken apart, to be damaged.
struct PEMText {
    var label: String
    var content: [UInt8]

    init(label: String, content: [UInt8]) {
        self.label = label
        self.content = content
    }

    init(_ text: String) {
        let lines = text.split(separator: "\n")
        label = String(lines[0].dropFirst("-----BEGIN ".count).dropLast("-----".count))
        content = Array(Data(base64Encoded: lines.dropFirst().dropLast().joined())!)
    }

    var text: String {
        let lines = Data(content).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(label)-----\n\(lines)\n-----END \(label)-----\n"
    }

    /// The text with some bytes replaced by as many others.
    func replacing(_ old: [UInt8], with new: [UInt8]) -> String {
        var copy = self
        precondition(!copy.content.ranges(of: old).isEmpty && old.count == new.count)
        copy.content.replace(old, with: new)
        return copy.text
    }
}
