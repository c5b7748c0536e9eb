import Files
import Glibc

/// A user of this machine.
struct Account: Sendable, Hashable {
    let name: String
    let userID: UInt32
    let groupID: UInt32
}

extension Account {
    /// The one that programs are run as where nobody says, the first that there is. It is the service's own; the other
    /// one is on every Debian.
    static let standardNames = ["sensorhub", "nobody"]

    /// Nil where there is no such user.
    init?(named name: String) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        self.init(name: name, userID: entry.pw_uid, groupID: entry.pw_gid)
    }

    /// Whom a root's agent runs algorithms as.
    ///
    /// - Parameter name: as configured; nil for the first of `standardNames`.
    /// - Throws: `AgentError` where there is no such user.
    static func forAlgorithms(named name: String?) throws(AgentError) -> Account {
        if let account = (name.map { [$0] } ?? standardNames).lazy.compactMap(Account.init(named:)).first {
            return account
        }
        let name = name ?? standardNames[0]
        throw AgentError(
            "there is no user '\(name)' to run algorithms as: adduser --system \(name), or set 'agent.user'")
    }

    /// The command line by which root runs `command` as this user, without any way back.
    func commandLine(_ command: [String]) -> [String] {
        [
            "/usr/bin/setpriv", "--reuid=\(userID)", "--regid=\(groupID)", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all", "--no-new-privs", "--",
        ] + command
    }

    /// Makes a folder with all that is in it the account's, where it is not. Links are not followed.
    func own(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw FileError(path) }
        guard status.st_uid != userID || status.st_gid != groupID else { return }
        // The folder itself last: one that was given half is given again.
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try Folder.names(in: path) { try own("\(path)/\(name)") }
        }
        guard lchown(path, userID, groupID) == 0 else { throw FileError(path) }
    }
}
