package import Foundation
internal import JOSE

/// The files in `Tests/Vectors`.
package enum Vectors {
    package static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Tests/Vectors").standardized

    /// The files of a folder with an extension, by name.
    package static func files(in folder: URL = folder, extension: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == `extension` }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    package static func bytes(of file: URL) throws -> [UInt8] { Array(try Data(contentsOf: file)) }

    /// The key of a vector.
    static func key(_ name: String) throws -> JWK {
        let vector = try JSONObject(json: bytes(of: folder.appending(path: name + ".json")))
        return try JWK(members: vector["jwk"]?.object ?? [:])
    }
}
