/// Prometheus' text format, version 0.0.4.
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    enum FamilyType: String {
        case counter, gauge, histogram
    }

    /// All samples of a name.
    struct Family {
        let name: String
        let type: FamilyType
        let help: String?
        var samples: [Sample]
    }

    struct Sample {
        /// What follows the family's name: `_bucket`, `_sum` or `_count` of a histogram.
        var suffix = ""
        var labels: [(name: String, value: String)] = []
        let value: Double
    }

    /// A name as Prometheus takes it.
    static func name(_ text: String) -> String {
        String(
            text.unicodeScalars.map {
                $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) ? Character($0) : "_"
            })
    }

    /// The document of some families, each of another name, in the order of their names.
    static func document(_ families: [Family]) -> String {
        var text = ""
        for family in families.sorted(by: { $0.name < $1.name }) {
            if let help = family.help { text += "# HELP \(family.name) \(escaped(help))\n" }
            text += "# TYPE \(family.name) \(family.type.rawValue)\n"
            for sample in family.samples {
                text += family.name + sample.suffix
                if !sample.labels.isEmpty {
                    text +=
                        "{"
                        + sample.labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
                        .joined(separator: ",") + "}"
                }
                text += " \(number(sample.value))\n"
            }
        }
        return text
    }

    private static func escaped(_ text: String, quotes: Bool = false) -> String {
        var escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        if quotes { escaped = escaped.replacing("\"", with: "\\\"") }
        return escaped
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}
