import Archive
import Credentials
import Files
import Glibc
import HubModel

/// The apps' files, unpacked once for each version.
actor AppStore {
    private let folders: AgentFolders
    private let link: Link
    private let messages: AgentMessages
    /// How long the hub has for an answer, and how often it is asked before the program says that it waits in vain.
    private let patience: Duration
    private let attempts = 3

    private typealias Waiter = CheckedContinuation<Result<Void, PreparationError>, Never>
    private struct Fetch {
        let app: Identifier
        var waiters: [Waiter] = []
        var asking: Task<Void, Never>?
        /// The bytes are here and are being unpacked.
        var isUnpacking = false
    }
    /// By SHA-256.
    private var fetches: [String: Fetch] = [:]
    /// The folders' names that were asked for.
    private var used: Set<String> = []

    init(folders: AgentFolders, link: Link, messages: AgentMessages, patience: Duration = .seconds(10)) {
        self.folders = folders
        self.link = link
        self.messages = messages
        self.patience = patience
    }

    /// The folder with the app's files, fetched from the hub unless it is there.
    ///
    /// - Parameter waiting: called where it has to be fetched.
    func folder(
        of app: Identifier, sha256: String, waiting: @Sendable () async -> Void
    ) async throws(PreparationError) -> String {
        let path = folders.app(app, sha256: sha256)
        used.insert(String(path.dropFirst(folders.apps.count + 1)))
        if File.exists(path) { return path }
        await waiting()
        if File.exists(path) { return path }
        let result = await withCheckedContinuation { waiter in
            if fetches[sha256] == nil {
                fetches[sha256] = Fetch(app: app)
                ask(for: sha256)
            }
            fetches[sha256]?.waiters.append(waiter)
        }
        try result.get()
        return path
    }

    private func ask(for wanted: String) {
        link.want(archive: wanted)
        fetches[wanted]?.asking = Task {
            for _ in 0..<attempts {
                // Without a connection the next attempt comes soon enough.
                _ = try? link.publish(messages.archiveWanted(wanted))
                do { try await Task.sleep(for: patience) } catch { return }
            }
            if fetches[wanted]?.isUnpacking == false {
                finish(wanted, .failure(PreparationError("the hub has not sent the app's archive")))
            }
        }
    }

    /// An archive has come from the hub.
    func received(_ bytes: [UInt8], as wanted: String) async {
        guard let fetch = fetches[wanted], !fetch.isUnpacking else { return }
        fetches[wanted]?.isUnpacking = true
        fetch.asking?.cancel()
        let apps = folders.apps, path = folders.app(fetch.app, sha256: wanted)
        do throws(PreparationError) {
            try await onThread { () throws(PreparationError) in
                guard sha256(bytes) == wanted else {
                    throw PreparationError("the app's archive is not the one that was asked for: its SHA-256 differs")
                }
                try Self.unpack(bytes, to: path, by: "\(apps)/.new-\(wanted)")
            }
            finish(wanted, .success(()))
        } catch {
            finish(wanted, .failure(error))
        }
    }

    private func finish(_ sha256: String, _ result: Result<Void, PreparationError>) {
        link.doNotWant(archive: sha256)
        let fetch = fetches.removeValue(forKey: sha256)
        fetch?.asking?.cancel()
        fetch?.waiters.forEach { $0.resume(returning: result) }
    }

    /// Unpacks into a temporary folder first: a folder under its own name is complete.
    private static func unpack(_ bytes: [UInt8], to path: String, by temporary: String) throws(PreparationError) {
        defer { try? Folder.remove(temporary) }
        do {
            try Folder.remove(temporary)
            try Folder.make(temporary)
            try Archive(bytes).unpack(into: temporary)
            guard rename(temporary, path) == 0 || errno == EEXIST || errno == ENOTEMPTY else {
                throw PreparationError(String(cString: strerror(errno)))
            }
        } catch {
            throw PreparationError(
                "the app's archive cannot be unpacked: \((error as? PreparationError)?.reason ?? "\(error)")")
        }
    }

    /// Removes apps that no program has been started from for long.
    func removeUnused(olderThan seconds: Int) async {
        await onThread { [folders, used] in Agent.removeUnused(in: folders.apps, except: used, olderThan: seconds) }
    }

    /// Removes what an agent that was killed has left half unpacked.
    static func removeIncomplete(in folders: AgentFolders) {
        for name in (try? Folder.names(in: folders.apps)) ?? [] where name.hasPrefix(".new-") {
            try? Folder.remove("\(folders.apps)/\(name)")
        }
    }
}
