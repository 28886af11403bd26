import Foundation
import Synchronization

/// A line on standard error that shows how far something has got; nothing where that isn't a terminal.
final class ProgressBar: Sendable {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let state = Mutex(State())

    private struct State {
        var shown: ContinuousClock.Instant?
        var width = 0
    }

    private static let cells = 30
    private static let interval = Duration.milliseconds(100)

    /// Shows what is under way and how much of it is done.
    ///
    /// - Parameter total: `nil` where nobody knows.
    func show(_ what: String, _ done: Int, of total: Int?) {
        guard isTerminal else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            if let shown = state.shown, now - shown < Self.interval, done != total { return }
            state.shown = now
            draw(Self.line(what, done, of: total), &state)
        }
    }

    /// Takes the line away.
    func end() {
        state.withLock { state in
            guard state.width > 0 else { return }
            draw("", &state)
            write("\r")
        }
    }

    static func line(_ what: String, _ done: Int, of total: Int?) -> String {
        guard let total, total > 0 else { return "\(what) …" }
        let share = min(Double(done) / Double(total), 1)
        let full = Int(share * Double(cells))
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: cells - full)
        return "\(what) [\(bar)] \(Int(share * 100))%"
    }

    private func draw(_ line: String, _ state: inout State) {
        write("\r" + line + String(repeating: " ", count: max(state.width - line.count, 0)))
        state.width = line.count
    }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
