import CWatch
import Files
import Glibc
import HubModel

/// A process that could not be made, with the reason.
package struct LaunchError: Error {
    package let reason: String
}

/// The process of a program, which this one has made or has found.
package struct ProgramProcess {
    let pid: Int32
    let run: Int64
    /// Becomes readable when the process ends.
    let descriptor: Int32
    /// Nobody else can wait for it.
    private let isChild: Bool

    /// Starts a program in a session of its own. On the way its record is written: whoever finds a process without one
    /// can be sure that it has executed nothing.
    ///
    /// - Parameter streams: for its stdin, stdout and stderr.
    init(
        _ specification: ProgramSpecification, run: Int64, streams: (Int32, Int32, Int32), record: String
    ) throws(LaunchError) {
        pid = try Self.make(specification, streams: streams) { pid throws(LaunchError) in
            do throws(FileError) {
                // A child of ours that has ended is still there to be read of.
                try ProcessRecord(name: "\(run)", pid: pid, wrappers: specification.wrappers)?.write(to: record)
            } catch {
                throw LaunchError(reason: "the record of its process cannot be written: \(error)")
            }
        }
        self.run = run
        isChild = true
        descriptor = sh_pidfd(pid)
    }

    /// One that another watch has started.
    init?(found record: ProcessRecord) {
        descriptor = sh_pidfd(record.pid)
        // After the descriptor is there the number cannot be another process's.
        guard descriptor >= 0, record.isAlive, let run = Int64(record.name) else {
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        pid = record.pid
        self.run = run
        isChild = false
    }

    /// To the whole process group.
    func signal(_ signal: Int32) {
        _ = kill(-pid, signal)
    }

    /// To be called when the process has ended: kills what is left of its group.
    ///
    /// - Parameter endingFile: where the keeper tells of a process that it has waited for.
    func end(endingFile: String) -> ProcessEnding {
        close(descriptor)
        guard isChild else { return Self.readEnding(of: pid, run: run, in: endingFile) }
        // Its number is its group's, and nobody else's as long as it has not been waited for.
        _ = kill(-pid, SIGKILL)
        let group = ControlGroup.path(of: pid)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return .unknown("somebody else has waited for it") }
        }
        return ProcessEnding(ending: ProgramEnding(waitStatus: status), group: group)
    }

    /// How a process ended that another watch has started, and that was not found any more.
    static func ending(of record: ProcessRecord, run: Int64, in file: String) -> ProcessEnding {
        guard record.boot == ProcessRecord.boot else { return .unknown("the machine was started anew") }
        return readEnding(of: record.pid, run: run, in: file)
    }

    /// The keeper may not have written it yet.
    private static func readEnding(of pid: Int32, run: Int64, in file: String) -> ProcessEnding {
        for _ in 0..<300 {
            if let ending = EndingRecord(readingFrom: file), ending.pid == pid, ending.run == run {
                return ProcessEnding(ending: ProgramEnding(waitStatus: ending.status), group: ending.group)
            }
            usleep(10_000)
        }
        return .unknown("it was killed with its watch, or nobody was there to see it")
    }

    /// Starts a program in a session of its own that is left to itself.
    ///
    /// - Returns: its process, which the caller has to wait for.
    package static func spawn(
        _ path: String, arguments: [String], streams: (Int32, Int32, Int32)
    ) throws(LaunchError) -> Int32 {
        try make(ProgramSpecification(executable: path, arguments: arguments), streams: streams) { _ in }
    }

    /// Starts a program in a session with a terminal. It is killed where we die before it.
    ///
    /// - Returns: its process, which the caller has to wait for.
    static func spawn(_ specification: ProgramSpecification, terminal: Int32) throws(LaunchError) -> Int32 {
        try make(specification, streams: (terminal, terminal, terminal), terminal: terminal) { _ in }
    }

    /// - Parameter prepare: what is to be done when there is the process, and it has not executed anything.
    private static func make(
        _ specification: ProgramSpecification, streams: (Int32, Int32, Int32), terminal: Int32? = nil,
        prepare: (Int32) throws(LaunchError) -> Void
    ) throws(LaunchError) -> Int32 {
        let path = try path(of: specification)
        try check(specification)
        var waiting = sh_waiting_process()
        let prepared = withProcess(specification, path: path, streams: streams, terminal: terminal) { process in
            withUnsafePointer(to: process) { sh_prepare($0, &waiting) }
        }
        guard prepared == 0 else { throw LaunchError(reason: "no process can be made: \(reason(errno))") }
        do throws(LaunchError) {
            try prepare(waiting.pid)
        } catch {
            sh_drop(&waiting)
            throw error
        }
        let stage = sh_let_go(&waiting)
        guard stage == 0 else {
            let reason = reason(UInt32(bitPattern: stage), errno, specification, path)
            while waitpid(waiting.pid, nil, 0) < 0, errno == EINTR {}
            throw LaunchError(reason: reason)
        }
        return waiting.pid
    }

    // MARK: What is asked for

    private static func path(of specification: ProgramSpecification) throws(LaunchError) -> String {
        let name = specification.executable
        guard !name.isEmpty, !name.utf8.contains(0) else { throw LaunchError(reason: "no program is named") }
        guard !name.contains("/") else { return name }
        for folder in (specification.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let path = "\(folder)/\(name)"
            if !File.isFolder(path), access(path, X_OK) == 0 { return path }
        }
        throw LaunchError(reason: LaunchFailure.notInPath(name))
    }

    private static func check(_ specification: ProgramSpecification) throws(LaunchError) {
        guard !specification.arguments.contains(where: { $0.utf8.contains(0) }) else {
            throw LaunchError(reason: "an argument has the character NUL in it")
        }
        for (name, value) in specification.environment {
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")), !name.utf8.contains(0),
                !value.utf8.contains(0)
            else { throw LaunchError(reason: "the environment variable '\(name)' cannot be passed on") }
        }
    }

    private static func withProcess(
        _ specification: ProgramSpecification, path: String, streams: (Int32, Int32, Int32), terminal: Int32?,
        _ body: (sh_process) -> Int32
    ) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] =
            ([specification.executable] + specification.arguments).map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] =
            specification.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + environment).forEach { free($0) } }
        let kinds = specification.resourceLimits.map(\.kind.number)
        let limits = specification.resourceLimits.map(\.value)
        let folder = specification.workingDirectory.map { strdup($0)! }
        let cgroup = specification.cgroup.map { strdup($0)! }
        defer {
            free(folder)
            free(cgroup)
        }
        return arguments.withUnsafeMutableBufferPointer { arguments in
            environment.withUnsafeMutableBufferPointer { environment in
                kinds.withUnsafeBufferPointer { kinds in
                    limits.withUnsafeBufferPointer { limits in
                        path.withCString { path in
                            body(
                                sh_process(
                                    path: path, arguments: arguments.baseAddress, environment: environment.baseAddress,
                                    folder: folder, streams: streams, terminal: terminal ?? -1,
                                    user: specification.userID.map { Int64($0) } ?? -1,
                                    group: specification.groupID.map { Int64($0) } ?? -1,
                                    limit_kinds: kinds.baseAddress, limits: limits.baseAddress,
                                    limit_count: limits.count, cgroup: cgroup,
                                    ends_with_caller: terminal == nil ? 0 : 1))
                        }
                    }
                }
            }
        }
    }

    /// Names what is missing.
    private static func reason(
        _ stage: UInt32, _ code: Int32, _ specification: ProgramSpecification, _ path: String
    ) -> String {
        let name = specification.executable
        switch sh_stage(stage) {
        case sh_stage_exec where code == ENOENT:
            if access(path, F_OK) != 0 { return LaunchFailure.missing(name) }
            return "the program '\(name)' cannot be executed: is the interpreter that it names installed?"
        case sh_stage_exec where code == EACCES: return "the program '\(name)' may not be executed"
        case sh_stage_folder:
            return "'\(name)' cannot be started in '\(specification.workingDirectory ?? "")': \(reason(code))"
        case sh_stage_user:
            return "'\(name)' cannot be started as user \(specification.userID.map { "\($0)" } ?? "of before"), group "
                + "\(specification.groupID.map { "\($0)" } ?? "of before"): \(reason(code))"
        case sh_stage_cgroup:
            return "'\(name)' cannot join the control group \(specification.cgroup ?? ""): \(reason(code))"
        case sh_stage_limits: return "the limits of '\(name)' cannot be set: \(reason(code))"
        default: return "'\(name)' cannot be started: \(reason(code))"
        }
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}

extension ResourceLimit.Kind {
    /// The number that setrlimit(2) has for it.
    fileprivate var number: Int32 {
        let resource =
            switch self {
            case .data: RLIMIT_DATA
            case .addressSpace: RLIMIT_AS
            case .processorTime: RLIMIT_CPU
            case .processes: __RLIMIT_NPROC
            case .openFiles: RLIMIT_NOFILE
            case .fileSize: RLIMIT_FSIZE
            case .coreSize: RLIMIT_CORE
            }
        return Int32(resource.rawValue)
    }
}
