internal import Dispatch
internal import Foundation

/// What changes when a file is written, or another one takes its place, also behind a symbolic link.
package struct FileStamp: Equatable {
    /// `none` where there is no such file.
    let text: String

    package init(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            text = "none"
            return
        }
        #if os(Linux)
            let time = status.st_mtim
        #else
            let time = status.st_mtimespec
        #endif
        text = "\(status.st_ino) \(time.tv_sec) \(time.tv_nsec) \(status.st_size)"
    }
}
