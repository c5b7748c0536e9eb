import Files
import Glibc

/// Removes what is in `folder` and nobody has used for long: what is not in `used`, the names in use since this agent
/// started, and was made more than `seconds` ago. Blocks.
func removeUnused(in folder: String, except used: Set<String>, olderThan seconds: Int) {
    let now = time(nil)
    for name in (try? Folder.names(in: folder)) ?? [] where !used.contains(name) {
        var status = stat()
        // The change time is also that of the rename with which it was completed.
        guard lstat("\(folder)/\(name)", &status) == 0, now - status.st_ctim.tv_sec >= seconds else { continue }
        try? Folder.remove("\(folder)/\(name)")
    }
}
