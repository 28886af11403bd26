internal import Foundation
internal import JOSE

/// An OpenAPI document as a page that loads nothing.
struct DocumentationPage {
    private let document: JSONObject

    init(_ document: JSONObject) { self.document = document }

    /// The style's hash for the Content-Security-Policy (CSP Level 3 section 2.3.1).
    static var styleHash: String {
        get throws { Data(try SHA256.hash(Array(style.utf8))).base64EncodedString() }
    }

    private static let style = """
        body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
        code,pre{font-family:ui-monospace,monospace;font-size:.9em}
        pre{background:#f4f4f4;padding:.7rem;overflow:auto}
        h2{border-bottom:1px solid #ccc;margin-top:2.5rem}
        h3{margin-top:2rem}
        table{border-collapse:collapse;width:100%;margin:.5rem 0}
        td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #eee}
        th{font-weight:600;font-size:.85em;color:#555}
        nav li{list-style:none}
        """

    var html: String {
        let info = document["info"]?.object ?? [:]
        let title = Self.escaped(info["title"]?.string ?? "")
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
            <title>\(title)</title><style>\(Self.style)</style></head><body>
            <h1>\(title)</h1>\(paragraphs(info["description"]))
            <p>This page is made of <a href="openapi.json">openapi.json</a>.</p>
            \(contents)\(operationSections)
            <h2 id="schemas">Schemas</h2>
            \(schemas.map { "<h3 id=\"\(Self.escaped($0.name))\">\(Self.escaped($0.name))</h3>" + schema($0.value) }.joined())
            </body></html>

            """
    }

    // MARK: Operations

    private struct Operation {
        let method: String
        let path: String
        let members: JSONObject

        var anchor: String { members["operationId"]?.string ?? path }
        var title: String { "<code>\(method.uppercased()) \(DocumentationPage.escaped(path))</code>" }
        var summary: String { DocumentationPage.escaped(members["summary"]?.string ?? "") }
    }

    private var operations: [Operation] {
        (document["paths"]?.object?.members ?? []).flatMap { path in
            (path.value.object?.members ?? []).compactMap { method in
                guard ["get", "post", "put", "delete", "patch"].contains(method.name), let members = method.value.object
                else { return nil }
                return Operation(method: method.name, path: path.name, members: members)
            }
        }
    }

    private var contents: String {
        let items = operations.map { "<li><a href=\"#\(Self.escaped($0.anchor))\">\($0.title)</a> \($0.summary)</li>" }
        return "<nav><ul>\(items.joined(separator: "\n"))</ul></nav>"
    }

    private var operationSections: String {
        let tags = document["tags"]?.array?.compactMap(\.object) ?? []
        return tags.map { tag in
            let name = tag["name"]?.string ?? ""
            let own = operations.filter { $0.members["tags"]?.strings?.contains(name) ?? false }
            return "<h2>\(Self.escaped(name))</h2>\(paragraphs(tag["description"]))" + own.map(section).joined()
        }.joined(separator: "\n")
    }

    private func section(_ operation: Operation) -> String {
        var html =
            "<section id=\"\(Self.escaped(operation.anchor))\"><h3>\(operation.title)</h3><p>\(operation.summary)</p>"
        html += paragraphs(operation.members["description"])
        let schemes = (operation.members["security"]?.array ?? []).map { alternative in
            let names = (alternative.object?.members ?? []).map { "<code>\(Self.escaped($0.name))</code>" }
            return names.isEmpty ? "nothing" : names.joined(separator: " with ")
        }
        if !schemes.isEmpty { html += "<p>Authenticated by \(schemes.joined(separator: ", or ")).</p>" }
        let parameters = operation.members["parameters"]?.array?.compactMap { resolved($0) } ?? []
        html += table(
            ["parameter", "in", ""],
            parameters.map { [code($0["name"]), Self.text($0["in"]), Self.text($0["description"])] })
        if let body = resolved(operation.members["requestBody"]) {
            for content in body["content"]?.object?.members ?? [] {
                html += "<p>Body: <code>\(Self.escaped(content.name))</code></p>" + media(content.value)
            }
        }
        let responses = operation.members["responses"]?.object?.members ?? []
        html += table(
            ["status", "", "body", "headers"],
            responses.map { response in
                let members = resolved(response.value) ?? [:]
                let bodies = (members["content"]?.object?.members ?? []).map { content in
                    "<code>\(Self.escaped(content.name))</code> \(reference(content.value.object?["schema"]))"
                }
                let headers = (members["headers"]?.object?.members ?? []).map {
                    "<code>\(Self.escaped($0.name))</code>"
                }
                return [
                    Self.escaped(response.name), Self.text(members["description"]),
                    bodies.joined(separator: "<br>"), headers.joined(separator: "<br>"),
                ]
            })
        return html + "</section>"
    }

    private func media(_ value: JSONValue) -> String {
        let members = value.object ?? [:]
        var html = members["schema"].map(schema) ?? ""
        if let example = members["example"] { html += "<pre>\(Self.escaped(example.string ?? example.jsonText))</pre>" }
        return html
    }

    // MARK: Schemas

    private var schemas: [JSONObject.Member] {
        document["components"]?.object?["schemas"]?.object?.members ?? []
    }

    /// The members of a schema, or what else it is.
    private func schema(_ value: JSONValue) -> String {
        guard let members = resolved(value) else { return "" }
        let required = members["required"]?.strings ?? []
        let rows = (members["properties"]?.object?.members ?? []).map { property in
            // What is said beside a reference is of this place.
            let description = property.value.object?["description"] ?? resolved(property.value)?["description"]
            return [
                "<code>\(Self.escaped(property.name))</code>" + (required.contains(property.name) ? " (required)" : ""),
                reference(property.value), Self.text(description),
            ]
        }
        var html = paragraphs(members["description"]) + table(["member", "type", ""], rows)
        if rows.isEmpty { html += "<p>\(reference(.object(members)))</p>" }
        for name in ["oneOf", "anyOf", "allOf"] {
            html += (members[name]?.array ?? []).map(schema).joined()
        }
        return html
    }

    /// A link to a schema that has a name, or its type.
    private func reference(_ value: JSONValue?) -> String {
        guard let members = value?.object else { return "" }
        if let name = members["$ref"]?.string?.split(separator: "/").last {
            return "<a href=\"#\(Self.escaped(String(name)))\">\(Self.escaped(String(name)))</a>"
        }
        if let values = members["enum"]?.array ?? members["const"].map({ [$0] }) {
            return values.map { "<code>\(Self.escaped($0.string ?? $0.jsonText))</code>" }.joined(separator: ", ")
        }
        let type = members["type"]?.string ?? members["type"]?.strings?.joined(separator: " or ") ?? ""
        return Self.escaped(type) + (members["items"].map { " of " + reference($0) } ?? "")
    }

    /// An object, or the one that it refers to within the document.
    private func resolved(_ value: JSONValue?) -> JSONObject? {
        guard let members = value?.object, let path = members["$ref"]?.string else { return value?.object }
        var target: JSONValue? = .object(document)
        for name in path.split(separator: "/").dropFirst() { target = target?.object?[String(name)] }
        return target?.object
    }

    // MARK: Text

    private func table(_ heading: [String], _ rows: [[String]]) -> String {
        guard !rows.isEmpty else { return "" }
        let head = heading.map { "<th>\($0)</th>" }.joined()
        let body = rows.map { "<tr>" + $0.map { "<td>\($0)</td>" }.joined() + "</tr>" }.joined(separator: "\n")
        return "<table><tr>\(head)</tr>\(body)</table>"
    }

    private func paragraphs(_ text: JSONValue?) -> String {
        (text?.string ?? "").split(separator: "\n\n").map { "<p>\(Self.marked(String($0)))</p>" }.joined()
    }

    private func code(_ text: JSONValue?) -> String { "<code>\(Self.text(text))</code>" }

    private static func text(_ value: JSONValue?) -> String { marked(value?.string ?? "") }

    /// Between backticks is code.
    private static func marked(_ text: String) -> String {
        let parts = escaped(text).split(separator: "`", omittingEmptySubsequences: false)
        return parts.enumerated().map { $0 % 2 == 1 ? "<code>\($1)</code>" : String($1) }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
