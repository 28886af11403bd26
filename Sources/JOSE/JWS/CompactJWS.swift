/// The three parts of a compact serialisation (RFC 7515 section 7.1), where they lie and not yet decoded.
package struct CompactJWS: Sendable {
    private let text: [UInt8]
    private let firstDot: Int
    private let secondDot: Int

    /// - Throws: ``JOSEError`` `malformed` for anything but three parts with dots between them, or too long a header.
    package init(_ text: [UInt8]) throws {
        let dot = UInt8(ascii: ".")
        // Dots between these aren't base64url.
        guard let first = text.firstIndex(of: dot), let second = text.lastIndex(of: dot), first < second else {
            throw JOSEError(.malformed, "a token that isn't three parts with dots between them")
        }
        guard first <= JWS.maximumTokenSize else {
            throw JOSEError(.malformed, "a header over \(JWS.maximumTokenSize) bytes")
        }
        (self.text, firstDot, secondDot) = (text, first, second)
    }

    package var header: ArraySlice<UInt8> { text[..<firstDot] }
    var payload: ArraySlice<UInt8> { text[(firstDot + 1)..<secondDot] }
    var signature: ArraySlice<UInt8> { text[(secondDot + 1)...] }
    /// Header and payload as they are spelt.
    var signingInput: ArraySlice<UInt8> { text[..<secondDot] }
}
