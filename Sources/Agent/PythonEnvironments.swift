import Credentials
import Files
import Glibc
import HubModel
import Synchronization
import Watch

/// The Python environments of the algorithms, one for each set of requirements. Made once, shared by all instances, and
/// made anew when the interpreter or the platform library has changed.
actor PythonEnvironments {
    /// What is told of an environment while it is being made: lines, also those of pip.
    typealias Progress = @Sendable ([OutputLine]) -> Void

    private final class Build: Sendable {
        let watchers = Mutex<[Progress]>([])
        let task = Mutex<Task<Result<Void, PreparationError>, Never>?>(nil)

        func tell(_ lines: [OutputLine]) {
            for watcher in watchers.withLock({ $0 }) { watcher(lines) }
        }
    }

    private let folders: AgentFolders
    private let python: String
    private let libraryFolder: String
    private let variables: [String: String]
    /// What is being made now, by path.
    private var builds: [String: Build] = [:]
    /// The paths that were asked for.
    private var used: Set<String> = []
    private var isStopping = false
    private var commands = 0

    init(_ configuration: AgentConfiguration, folders: AgentFolders) {
        self.folders = folders
        python = configuration.python
        libraryFolder = configuration.pythonLibrary
        variables = Self.variables(cache: folders.pipCache)
    }

    /// The interpreter of an environment that has the platform library and `requirements`.
    ///
    /// - Parameters:
    ///   - waiting: called where the environment has to be made.
    ///   - progress: told what happens while it is made.
    func interpreter(
        for requirements: [String], waiting: @Sendable () async -> Void, progress: @escaping Progress
    ) async throws(PreparationError) -> String {
        let library = try await onThread { [libraryFolder] () throws(PreparationError) in
            try PlatformLibrary(folder: libraryFolder)
        }
        let version = try await pythonVersion()
        let requirements = Set(requirements).sorted()
        let wheels = "\(folders.wheels)/\(Self.key([version, library.digest]))"
        let environment = "\(folders.environments)/\(Self.key([version, library.digest] + requirements))"
        used.formUnion([wheels, environment])
        if !Self.isComplete(environment) { await waiting() }
        let extra = requirements.isEmpty ? "" : " with \(requirements.joined(separator: ", "))"
        try await build(environment, "preparing a Python environment\(extra)", progress) {
            tell throws(PreparationError) in
            try await self.make(environment, version, library, wheels, requirements, tell)
        }
        return "\(environment)/bin/python"
    }

    /// The environment that an interpreter of ours belongs to.
    static func folder(ofInterpreter path: String) -> String { Folder.parent(of: Folder.parent(of: path)) }

    /// Where Python itself is installed that an environment was made with: nothing for the system's, a folder for one
    /// below a home, say.
    static func base(ofInterpreter path: String) -> [String] {
        guard let real = Executables.realPath(path) else { return [] }
        let base = folder(ofInterpreter: real)
        return base == "/" || base == "/usr" || base.hasPrefix("/usr/") ? [] : [base]
    }

    /// Removes environments that no program has been started in for long.
    func removeUnused(olderThan seconds: Int) async {
        let names = Set(used.map { String(Self.name($0)) })
        await onThread { [folders] in
            for folder in [folders.environments, folders.wheels] {
                Agent.removeUnused(in: folder, except: names, olderThan: seconds)
            }
        }
    }

    /// Ends what is being made, and returns when it has ended.
    func stop() async {
        isStopping = true
        let tasks = builds.values.compactMap { $0.task.withLock { $0 } }
        tasks.forEach { $0.cancel() }
        for task in tasks { _ = await task.value }
    }

    // MARK: One build at a time

    private typealias Work = @Sendable (@escaping Progress) async throws(PreparationError) -> Void

    /// Has `work` make what is at `path`, unless it is complete; whoever comes while that goes on waits for it too.
    ///
    /// - Parameter what: is being done; told to everybody who waits.
    private func build(
        _ path: String, _ what: String, _ progress: @escaping Progress, _ work: @escaping Work
    ) async throws(PreparationError) {
        let build: Build
        if let running = builds[path] {
            build = running
        } else if Self.isComplete(path) {
            return
        } else {
            guard !isStopping else { throw PreparationError("the agent stops") }
            build = Build()
            builds[path] = build
            let task = Task<Result<Void, PreparationError>, Never> {
                let result: Result<Void, PreparationError>
                do throws(PreparationError) {
                    try await work { build.tell($0) }
                    try Self.complete(path)
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                builds[path] = nil
                return result
            }
            build.task.withLock { $0 = task }
        }
        progress([OutputLine(time: microsecondsNow(), stream: .stdout, text: what)])
        build.watchers.withLock { $0.append(progress) }
        try await build.task.withLock { $0 }?.value.get()
    }

    // MARK: Steps

    private func make(
        _ path: String, _ version: String, _ library: PlatformLibrary, _ wheels: String, _ requirements: [String],
        _ tell: @escaping Progress
    ) async throws(PreparationError) {
        try await onThread { () throws(PreparationError) in try Self.remove(path) }
        // Not --upgrade-deps and the like: nothing here may need the network.
        _ = try await run("venv", "venv-\(Self.name(path))", python, ["-m", "venv", path], tell)
        let python = "\(path)/bin/python"
        try await build(wheels, "packing the platform library", tell) { tell throws(PreparationError) in
            try await self.makeWheels(wheels, library, python, tell)
        }
        let package = try Self.package(in: wheels)
        var arguments = ["install", "--find-links", wheels]
        if requirements.isEmpty { arguments.append("--no-index") }
        // The library by its path: a package of its name in the index is none of ours.
        _ = try await run(
            "pip", "pip-\(Self.name(path))", python, Self.pip + arguments + [package] + requirements, tell)
        tell([OutputLine(time: microsecondsNow(), stream: .stdout, text: "the Python environment is ready")])
    }

    /// The library and what it needs, so that an environment without further requirements needs no network.
    private func makeWheels(
        _ path: String, _ library: PlatformLibrary, _ python: String, _ tell: @escaping Progress
    ) async throws(PreparationError) {
        let source = "\(path)/source"
        try await onThread { () throws(PreparationError) in
            try Self.remove(path)
            try library.copy(to: source)
        }
        let record = "wheels-\(Self.name(path))"
        let library = "\(path)/library"
        _ = try await run(
            "pip", record, python, Self.pip + ["wheel", "--no-deps", "--wheel-dir", library, source], tell)
        let package = try Self.package(in: path)
        _ = try await run("pip", record, python, Self.pip + ["wheel", "--wheel-dir", path, package], tell)
        try await onThread { () throws(PreparationError) in try Self.remove(source) }
    }

    private static let pip = ["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]

    /// The library's own wheel.
    private static func package(in wheels: String) throws(PreparationError) -> String {
        let folder = "\(wheels)/library"
        guard let name = try? Folder.names(in: folder).first(where: { $0.hasSuffix(".whl") }) else {
            throw PreparationError("pip has made no package of the platform library")
        }
        return "\(folder)/\(name)"
    }

    private func pythonVersion() async throws(PreparationError) -> String {
        // Asked anew each time: the system's Python can be upgraded while we run.
        let code = "import sys; print(sys.version.replace(chr(10), ' '), sys.executable)"
        let lines = try await run("python", "python-version", python, ["-c", code]) { _ in }
        guard let line = lines.last else { throw PreparationError("'\(python)' does not tell its version") }
        return line
    }

    private func run(
        _ name: String, _ record: String, _ python: String, _ arguments: [String], _ tell: @escaping Progress
    ) async throws(PreparationError) -> [String] {
        // Numbered, as several may run at the same time.
        commands += 1
        return try await PreparationCommand(
            name: name, recordFile: "\(folders.records)/\(record)-\(commands).json", executable: python,
            arguments: arguments, environment: variables, output: tell
        ).run()
    }

    // MARK: On disk

    private static let marker = "sensorhub-complete"

    private static func key(_ parts: [String]) -> String {
        String(sha256(Array(parts.joined(separator: "\n").utf8)).prefix(16))
    }

    private static func name(_ path: String) -> Substring {
        path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
    }

    private static func isComplete(_ path: String) -> Bool {
        File.exists("\(path)/\(marker)")
    }

    private static func complete(_ path: String) throws(PreparationError) {
        do { try File.replace("\(path)/\(marker)", with: [], isDurable: true) } catch {
            throw PreparationError("\(path): \(error)")
        }
    }

    private static func remove(_ path: String) throws(PreparationError) {
        do { try Folder.remove(path) } catch { throw PreparationError("\(path) cannot be removed: \(error)") }
    }

    /// Removes what was being made when an agent was killed. Blocks.
    static func removeIncomplete(in folders: AgentFolders) {
        for folder in [folders.environments, folders.wheels] {
            for name in (try? Folder.names(in: folder)) ?? [] where !isComplete("\(folder)/\(name)") {
                try? Folder.remove("\(folder)/\(name)")
            }
        }
    }

    /// What pip needs to know of the machine: where to find programs and indexes, and how to reach the network.
    private static func variables(cache: String) -> [String: String] {
        var variables = ourEnvironment { name in
            ["PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"].contains(name)
                || name.hasPrefix("PIP_") || name.lowercased().hasSuffix("_proxy")
        }
        variables["PATH"] = variables["PATH"] ?? defaultPath
        variables["PIP_CACHE_DIR"] = cache
        variables["LANG"] = "C.UTF-8"
        return variables
    }
}
