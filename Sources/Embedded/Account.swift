import Glibc

/// An account of the operating system.
struct Account: Sendable, Hashable {
    let name: String
    let userID: UInt32
    let groupID: UInt32
    let home: String

    var isRoot: Bool { userID == 0 }

    /// The account that this process runs as; nil where the system has no entry for it.
    static func current() -> Account? {
        with(userID: geteuid())
    }

    static func with(userID: UInt32) -> Account? {
        lookUp { getpwuid_r(userID, $0, $1, $2, $3) }
    }

    static func named(_ name: String) -> Account? {
        lookUp { getpwnam_r(name, $0, $1, $2, $3) }
    }

    /// The command with which root runs a program as this account, in the same process; the program itself for somebody
    /// who is this account.
    ///
    /// setpriv (util-linux) changes the account after the exec, where there is one thread. swift-subprocess 1.0 does it
    /// between clone and exec, where glibc waits for threads that the copy does not have, now and then for ever.
    func command(_ executable: String, _ arguments: [String]) -> (executable: String, arguments: [String]) {
        guard userID != geteuid() else { return (executable, arguments) }
        let change = ["--reuid", "\(userID)", "--regid", "\(groupID)", "--clear-groups", "--"]
        return ("/usr/bin/setpriv", change + [executable] + arguments)
    }

    private static func lookUp(
        _ call: (
            UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
        ) -> Int32
    ) -> Account? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        // The strings of an entry lie in this buffer; nobody's are near that long.
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        return buffer.withUnsafeMutableBufferPointer { buffer in
            guard call(&entry, buffer.baseAddress!, buffer.count, &found) == 0, found != nil else { return nil }
            return Account(
                name: String(cString: entry.pw_name), userID: entry.pw_uid, groupID: entry.pw_gid,
                home: String(cString: entry.pw_dir))
        }
    }
}
