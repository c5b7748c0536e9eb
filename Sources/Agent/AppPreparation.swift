import Files
import Glibc
import HubModel
import SimdJSON
import Watch

/// Makes what an app's program needs to run: the app's files, and what its runtime says.
struct AppPreparation: Sendable {
    let program: ProgramID
    let conditions: RunConditions
    let site: ProgramSite
    /// Told what takes time.
    let report: @Sendable (ProgramState, String) async -> Void

    func specification(_ work: AppWork, password: String) async throws(PreparationError) -> ProgramSpecification {
        if let device = work.device { try DeviceAppSchedule(program: program, folders: site.folders).check(device) }
        let folder = try await site.apps.folder(of: work.app, sha256: work.sha256) {
            await report(.starting, "fetching app '\(work.app)'")
        }
        let path = "\(folder)/\(work.script)"
        var file = stat()
        guard stat(path, &file) == 0, file.st_mode & S_IFMT == S_IFREG else {
            throw PreparationError("app '\(work.app)' has no file '\(work.script)'", isFinal: true)
        }
        let state = site.folders.state(of: program)
        do { try Folder.make(state) } catch { throw PreparationError("\(state) cannot be made: \(error)") }

        var environment = site.environment(of: program, password: password)
        environment["SENSORHUB_INSTANCE"] = program.id.text
        environment["SENSORHUB_APP"] = work.app.text
        environment["SENSORHUB_STATE"] = state
        if let device = work.device { environment["SENSORHUB_PARAMETERS"] = JSON.object(device.parameters).text() }

        var shared = [folder], seen = [folder]
        var values: [Runtime.Placeholder: String] = [.app: folder, .entry: path, .state: state]
        let needs = RuntimeNeeds(runtime: work.runtime, program: program, site: site, environment: environment)
        try needs.checkPrograms()
        if work.runtime.usesPython {
            values[.python] = try await site.environments.interpreter(
                for: work.requirements, waiting: { await report(.starting, "preparing Python environment") },
                progress: { [journals = site.journals, program] in journals.tell(program, $0) })
            let environment = PythonEnvironments.folder(ofInterpreter: values[.python]!)
            shared.append(environment)
            // An interpreter of the machine's that is none of the system's folders.
            seen += [environment] + PythonEnvironments.base(ofInterpreter: values[.python]!)
        }
        try await needs.checkCommands(values)
        for step in work.runtime.prepare {
            if let file = step.file, !File.exists("\(folder)/\(file)") { continue }
            await report(.starting, "preparing: \(step.command.joined(separator: " "))")
            _ = try await needs.run(Runtime.fill(step.command, values)) { [journals = site.journals, program] in
                journals.tell(program, $0)
            }
        }
        // The folder: the broker makes the socket anew when it starts.
        if let socket = site.configuration.broker.socket { seen.append(socket.folder) }
        if let time = work.device?.notBefore { try await wait(until: time) }

        var command = Runtime.fill(work.runtime.start, values) + work.arguments
        if command[0] == path {
            try checkInterpreter(of: path, named: work.script)
            // A zip made elsewhere does not say that a file may be executed.
            guard chmod(path, 0o755) == 0 else {
                throw PreparationError(
                    "'\(work.script)' cannot be made executable: \(String(cString: strerror(errno)))")
            }
        }
        if let niceness = work.device?.niceness, niceness != 0 { command = ["nice", "-n", "\(niceness)"] + command }
        var specification = ProgramSpecification(
            executable: command[0], arguments: Array(command.dropFirst()), environment: environment,
            workingDirectory: folder, input: .pipe, restart: Self.restart(work.device))
        specification.follow(conditions.supervision)
        try site.confinement.handOver(own: [state], shared: shared, in: site.folders)
        return try site.confine(
            specification, of: program, limits: conditions.limits,
            isolation: conditions.isolation ?? work.runtime.isolation,
            view: Sandbox.View(readOnly: seen, writable: [state]))
    }

    /// An algorithm is to run for ever; an app of a device says itself how often it may be tried.
    private static func restart(_ device: DeviceAppRun?) -> RestartPolicy {
        guard let device else { return RestartPolicy(.unexpected, startRetries: 10, backoffCap: .seconds(60)) }
        guard device.retries else { return .never }
        return RestartPolicy(
            .unexpected, startRetries: nil, maximumRestarts: device.maximumRetries, backoffCap: .seconds(60))
    }

    /// Without it, whatever wraps the program would say that there is no such program.
    private func checkInterpreter(of path: String, named name: String) throws(PreparationError) {
        guard let start = try? File.beginning(of: path, limit: 256), start.starts(with: Array("#!".utf8)) else {
            return
        }
        let line = start.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
        guard let word = line.split(whereSeparator: { [UInt8(ascii: " "), UInt8(ascii: "\t")].contains($0) }).first
        else {
            return
        }
        let interpreter = String(decoding: word, as: UTF8.self)
        guard access(interpreter, X_OK) != 0 else { return }
        throw PreparationError(
            "'\(name)' names the interpreter '\(interpreter.prefix(80))', which this machine has not", isFinal: true)
    }

    /// In short steps, as the clock may be set meanwhile.
    private func wait(until time: Int64) async throws(PreparationError) {
        var isTold = false
        while case let left = time - microsecondsNow(), left > 0 {
            if !isTold { await report(.waiting, "waits for its time, in \((left + 999_999) / 1_000_000) s") }
            isTold = true
            do {
                try await Task.sleep(for: .microseconds(min(left, 10_000_000)))
            } catch {
                throw PreparationError("it was not waited for")
            }
        }
    }
}

extension ProgramSpecification {
    /// Takes over what the rules say; the rest stays.
    mutating func follow(_ rules: SupervisionRules) {
        switch rules.autorestart {
        case .never: restart.condition = .never
        case .unexpected: restart.condition = .unexpected
        case .always: restart.condition = .always
        case nil: break
        }
        if let codes = rules.exitcodes { restart.exitCodes = codes }
        if let seconds = rules.startsecs { restart.startSeconds = .seconds(seconds) }
        switch rules.startretries {
        case .number(let number): restart.startRetries = number
        case .unlimited: restart.startRetries = nil
        case nil: break
        }
        if let signal = rules.stopsignal { stopSignal = signal.number }
        if let seconds = rules.stopwaitsecs { stopWait = .seconds(seconds) }
        if let seconds = rules.backoffsecs {
            restart.backoffCap = .seconds(seconds)
            restart.backoffFirst = min(restart.backoffFirst, restart.backoffCap)
        }
    }
}
