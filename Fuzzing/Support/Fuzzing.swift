internal import CLibFuzzer

/// Calls `test` with the input that libFuzzer gave to `LLVMFuzzerTestOneInput`, and gives what that has to return.
///
/// - Parameter test: looks whether the code under test keeps its promises (``require(_:_:)``); an error that it throws is
///   a broken one, too.
package func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int, _ test: ([UInt8]) throws -> Void) -> CInt {
    do {
        try test(Array(UnsafeBufferPointer(start: start, count: count)))
        return 0
    } catch {
        fatalError("an error where none may be: \(error)")
    }
}

/// Stops the process unless a promise is kept; libFuzzer then keeps the input.
package func require(_ holds: Bool, _ promise: StaticString) {
    guard holds else { fatalError("a broken promise: \(promise)") }
}

/// Some bytes, changed as libFuzzer usually does it, within a size.
package func mutated(_ bytes: [UInt8], capacity: Int) -> [UInt8] {
    var bytes = bytes
    let count = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: max(0, capacity - count)))
    let newCount = LLVMFuzzerMutate(&bytes, count, bytes.count)
    return Array(bytes.prefix(newCount))
}
