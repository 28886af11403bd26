/// What is wrong with a file of users, and how to mend it. Holds no hash.
struct UserFileProblem: Error {
    /// Counted from 1; `nil` where it isn't a line's fault.
    let line: Int?
    let text: String

    init(line: Int? = nil, _ text: String) {
        self.line = line
        self.text = text
    }

    func error(in file: String) -> ServiceError {
        let place = line.map { "\(file), line \($0)" } ?? file
        return ServiceError(.failed, "\(place): \(text); nothing was imported")
    }
}
