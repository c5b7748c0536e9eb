import Files
import Glibc

extension DataDirectory {
    /// Makes sure of the folder and what every part of a hub needs in it.
    ///
    /// - Throws: `EmbeddedError` where it cannot be used: not empty and not ours, somebody else's, out of reach for the
    ///   accounts of database and broker, or of a name that their configuration files cannot say.
    func prepare(for runner: Account) throws(EmbeddedError) {
        try checkName()
        if !File.exists(lock) {
            let strange = names(in: path).filter { $0 != "lost+found" }
            guard strange.isEmpty else {
                throw EmbeddedError(
                    .dataDirectory,
                    "\(path) is not empty (\(strange[0]), …) and was not made by 'sensorhub up'; choose another with --data"
                )
            }
        }
        if runner.isRoot {
            for name in ["postgres", "mosquitto"] {
                if let account = Account.named(name) { try checkReach(of: account) }
            }
        }
        try makeFolder(path, mode: runner.isRoot ? 0o755 : 0o700)
        try checkOwner(runner)
        try makeFolder(logs, mode: runner.isRoot ? 0o755 : 0o700)
        try makeFolder(records, mode: 0o700)
        for part in Part.allCases { try makeFolder(records(of: part), mode: 0o700) }
    }

    private func checkName() throws(EmbeddedError) {
        guard let character = path.first(where: { "\"'\\,".contains($0) || $0.isNewline }) else { return }
        let name = character.isNewline ? "a line break" : "'\(character)'"
        throw EmbeddedError(
            .dataDirectory,
            "the path of the data folder cannot have \(name) in it, which PostgreSQL would not understand: \(path)")
    }

    private func checkOwner(_ runner: Account) throws(EmbeddedError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .file("use", FileError(path)) }
        guard status.st_uid != runner.userID else { return }
        let owner = Account.with(userID: status.st_uid)?.name ?? "user id \(status.st_uid)"
        throw EmbeddedError(
            .dataDirectory, "\(path) belongs to \(owner): run this as \(owner), or choose another folder with --data")
    }

    /// Database and broker of a hub that root runs have accounts of their own, which must be able to pass.
    private func checkReach(of account: Account) throws(EmbeddedError) {
        var folder = path
        while true {
            var status = stat()
            // What is not there yet will be made so that everybody can pass.
            if stat(folder, &status) == 0, !mayPass(account, status) {
                throw EmbeddedError(
                    .dataDirectory,
                    """
                    \(path) is out of reach for the account '\(account.name)', which may not enter \(folder); \
                    choose another folder with --data
                    """)
            }
            if folder == "/" { return }
            folder = Folder.parent(of: folder)
        }
    }

    private func mayPass(_ account: Account, _ folder: stat) -> Bool {
        if folder.st_uid == account.userID { return folder.st_mode & S_IXUSR != 0 }
        if folder.st_gid == account.groupID { return folder.st_mode & S_IXGRP != 0 }
        return folder.st_mode & S_IXOTH != 0
    }
}
