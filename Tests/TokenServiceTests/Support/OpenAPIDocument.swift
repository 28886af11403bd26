import HTTPTypes
import JOSE

@testable import TokenService

/// The OpenAPI document, as far as answers are compared with it; schemas are left to schemathesis.
struct OpenAPIDocument {
    let members: JSONObject

    static let shared = try! OpenAPIDocument()

    init() throws {
        members = try JSONObject(json: Documentation(issuer: TestService.url, maxAge: .seconds(300)).json)
    }

    /// What is there: `GET /auth/me`.
    var operations: Set<String> {
        Set(
            paths.flatMap { path in
                (path.value.object?.members ?? []).map { "\($0.name.uppercased()) \(path.name)" }
            })
    }

    private var paths: [JSONObject.Member] { members["paths"]?.object?.members ?? [] }

    private func operation(_ method: HTTPRequest.Method, _ path: String) -> JSONObject? {
        let parts = path.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false)
        let item = paths.first { pattern in
            let pattern = pattern.name.split(separator: "/", omittingEmptySubsequences: false)
            return pattern.count == parts.count && zip(pattern, parts).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
        }
        return item?.value.object?[method.rawValue.lowercased()]?.object
    }

    /// An object, or the one that it refers to.
    func resolved(_ value: JSONValue?) -> JSONObject? {
        guard let path = value?.object?["$ref"]?.string else { return value?.object }
        return path.split(separator: "/").dropFirst().reduce(.object(members)) { (target: JSONValue?, name) in
            target?.object?[String(name)]
        }?.object
    }

    /// Headers of HTTP itself, which every answer may have.
    private static let general: Set<HTTPField.Name> = [.contentType, .contentLength, .date]

    /// What of an answer the document doesn't tell; `nil` where it tells all, or the operation isn't one.
    func omission(_ method: HTTPRequest.Method, _ path: String, _ answer: TestService.Answer) -> String? {
        guard let operation = operation(method, path) else { return nil }
        guard let response = resolved(operation["responses"]?.object?[String(answer.status.code)]) else {
            return "\(method) \(path): the status \(answer.status.code)"
        }
        let documented = Set((response["headers"]?.object?.members ?? []).map { $0.name.lowercased() })
        for name in answer.headers.map(\.name) where !Self.general.contains(name) {
            guard documented.contains(name.canonicalName) else {
                return "\(method) \(path): the header \(name) of \(answer.status.code)"
            }
        }
        let types = (response["content"]?.object?.members ?? []).map(\.name)
        let type = answer.headers[.contentType]?.prefix { $0 != ";" }
        guard let type else { return answer.body.isEmpty ? nil : "\(method) \(path): a body without a type" }
        return types.contains { $0.prefix { $0 != ";" } == type } ? nil : "\(method) \(path): the type \(type)"
    }
}
