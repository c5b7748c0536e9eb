import Glibc
import Synchronization

/// Tells when something is written in folders (inotify(7)).
final class FolderEvents: Sendable {
    private let descriptor: Int32
    /// A pipe; its end for writing is closed to end the thread.
    private let stopEnds: (read: Int32, write: Int32)
    private let names = Mutex<[Int32: String]>([:])

    init() throws(AgentError) {
        descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        var ends: [Int32] = [-1, -1]
        guard descriptor >= 0, pipe(&ends) == 0 else {
            throw AgentError("changes in folders cannot be watched: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        stopEnds = (ends[0], ends[1])
    }

    /// - Parameter onChange: called on a thread of its own with the folders in which something was written.
    func start(onChange: @escaping @Sendable (Set<String>) -> Void) {
        startThread { [descriptor, stop = stopEnds.read, self] in
            var descriptors = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            while true {
                poll(&descriptors, 2, -1)
                guard descriptors[1].revents == 0 else { break }
                let changed = read()
                if !changed.isEmpty { onChange(changed) }
            }
            close(descriptor)
            close(stop)
        }
    }

    /// - Returns: false where that is not possible; the folder then has to be looked at from time to time.
    @discardableResult
    func watch(_ folder: String) -> Bool {
        names.withLock { names in
            let number = inotify_add_watch(descriptor, folder, UInt32(IN_MODIFY | IN_CREATE))
            guard number >= 0 else { return false }
            names[number] = folder
            return true
        }
    }

    func stop() {
        close(stopEnds.write)
    }

    /// The kernel itself forgets folders that are removed.
    private func read() -> Set<String> {
        var changed: Set<String> = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return changed }
            buffer.withUnsafeBytes { bytes in
                let header = MemoryLayout<inotify_event>.size
                var offset = 0
                while offset + header <= count {
                    let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                    names.withLock { names in
                        // More has happened than the kernel could keep.
                        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { changed.formUnion(names.values) }
                        if let name = names[event.wd] { changed.insert(name) }
                        if event.mask & UInt32(IN_IGNORED) != 0 { names[event.wd] = nil }
                    }
                    offset += header + Int(event.len)
                }
            }
        }
    }
}
