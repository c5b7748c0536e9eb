import HubModel
import Watch

/// A program of the plan with one kind of work to do, from the moment that the plan names it: waits until the broker
/// knows its password, prepares what it needs, and has it watched.
actor PlacedProgram {
    nonisolated let program: ProgramID
    nonisolated let work: PlannedProgram.Work
    private let site: ProgramSite
    /// What the plan says the broker knows.
    private var plannedCredential: String?
    private var held: HeldCredential?

    private var life: Task<Void, Never>?
    private var watched: WatchedProgram?
    private var starting: Task<Void, Never>?
    private var isEnding = false
    private var isAsking = false
    /// Sleeps until the hub is to be asked again; cancelled when that is no longer needed.
    private var pause: Task<Void, Never>?

    init(_ planned: PlannedProgram, at site: ProgramSite) {
        program = planned.program
        work = planned.work
        plannedCredential = planned.credential
        self.site = site
    }

    /// Begins. Whatever comes of it is reported.
    func start() {
        guard !isEnding else { return }
        life = Task { await live() }
    }

    /// The plan has come again. A program that is up stays up: its password is the same, whatever the hub makes of it.
    func credentialChanged(to credential: String?) {
        guard credential != plannedCredential, !isEnding else { return }
        plannedCredential = credential
        if isAgreed {
            pause?.cancel()
        } else if held != nil, !isAsking {
            Task { await agree() }
        }
    }

    /// Stops the program, or whatever is being done for it, and returns when it is gone.
    func end(reason: String) async {
        isEnding = true
        life?.cancel()
        pause?.cancel()
        await starting?.value
        if let watched {
            await watched.stop(reason: reason)
        } else {
            report(.stopped, "asked to stop: \(reason)")
        }
    }

    /// Sends a signal to the program's process group, if it is still that run of it.
    func send(_ signal: Signal, toRun run: Int64) async {
        guard let watched, await watched.status.run == run else { return }
        await watched.send(signal: signal.number)
    }

    private func live() async {
        do {
            held = try site.secrets.credential(of: program)
        } catch {
            return report(.fatal, "its password cannot be kept in \(site.secrets.folder): \(error)")
        }
        if !isAgreed {
            report(.starting, "waiting for the hub to let the broker know its password")
            await agree()
        }
        var backoff = Backoff(first: site.retryFirst, cap: site.retryCap)
        while !isEnding {
            do throws(PreparationError) {
                let specification = try await specification(password: held?.password ?? "")
                if !isEnding { watch(specification) }
                return
            } catch {
                guard !isEnding else { return }
                if error.isFinal { return report(.fatal, error.reason) }
                let wait = backoff.next()
                report(.backoff, "\(error.reason); next try in \(max(1, wait.components.seconds)) s")
                try? await Task.sleep(for: wait)
            }
        }
    }

    // MARK: Password

    private var isAgreed: Bool { held?.fits(plannedCredential) ?? false }

    /// Tells the hub our hash, at most once a second, until its plan has it.
    private func agree() async {
        guard let held, !isAsking else { return }
        isAsking = true
        defer { isAsking = false }
        var backoff = Backoff(first: .seconds(2), cap: .seconds(10))
        while !isAgreed, !isEnding {
            // Without a connection the next attempt comes soon enough.
            _ = try? site.link.publish(site.messages.credential(held.hash, of: program))
            let wait = backoff.next()
            let pause = Task { () -> Void in try? await Task.sleep(for: wait) }
            self.pause = pause
            await pause.value
        }
    }

    // MARK: Preparation

    private func specification(password: String) async throws(PreparationError) -> ProgramSpecification {
        switch work {
        case .driver(let name, let type, let instance):
            return try DriverPreparation(program: program, site: site)
                .specification(driver: name, type: type, instance: instance, password: password)
        case .algorithm(let app, let sha256, let script, let language, let requirements):
            return try await AlgorithmPreparation(program: program, site: site, report: { await self.preparing($0) })
                .specification(
                    app: app, sha256: sha256, script: script, language: language, requirements: requirements,
                    password: password)
        }
    }

    /// A step that takes time can outlast the program.
    private func preparing(_ what: String) {
        if !isEnding { report(.starting, what) }
    }

    // MARK: Watching

    private func watch(_ specification: ProgramSpecification) {
        let runs = RunCounter(program: program, folders: site.folders)
        let firstRun = runs.last + 1
        // Before the process is there: an agent that is killed meanwhile must not use the number again.
        runs.keep(firstRun)
        let watched = WatchedProgram(
            name: "\(program)", recordFile: "\(site.folders.records)/\(program).json", specification: specification,
            firstRun: firstRun
        ) { [program, site] event in
            switch event {
            case .state(let status):
                if status.state == .starting, status.run > firstRun { runs.keep(status.run) }
                site.tell(ProgramReport(program: program, status))
            case .output(let lines):
                site.reports.log(lines, of: program)
            }
        }
        self.watched = watched
        starting = Task { await watched.start() }
    }

    private func report(_ state: ProgramState, _ reason: String) {
        let run = RunCounter(program: program, folders: site.folders).last
        site.tell(
            ProgramReport(program: program, state: state, reason: reason, pid: nil, time: microsecondsNow(), run: run))
    }
}

extension ProgramSite {
    /// To the hub, and to the agent's own log.
    func tell(_ report: ProgramReport) {
        let line = "\(report.program) is \(report.state.rawValue): \(report.reason)"
        if report.state == .fatal || report.state == .backoff {
            logger.warning("\(line)")
        } else {
            logger.info("\(line)")
        }
        reports.report(report)
    }
}

extension ProgramReport {
    init(program: ProgramID, _ status: ProgramStatus) {
        self.init(
            program: program, state: status.state, reason: status.reason, pid: status.pid, time: status.since,
            run: status.run, exitCode: status.exitCode, signal: status.signal)
    }
}
