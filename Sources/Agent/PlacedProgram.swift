import HubModel
import Watch

/// A program of the plan with one kind of work to do, from the moment that the plan names it: waits until the broker
/// knows its password, prepares what it needs, and has it watched.
actor PlacedProgram {
    nonisolated let program: ProgramID
    nonisolated let work: PlannedProgram.Work
    private nonisolated let generation: Int64
    nonisolated let inputs: InputQueue
    private let conditions: RunConditions
    private let site: ProgramSite
    /// What the plan says the broker knows.
    private var plannedCredential: String?
    private var held: HeldCredential?

    private var life: Task<Void, Never>?
    /// The handing over to a watch.
    private var starting: Task<Result<Void, PreparationError>, Never>?
    private var isEnding = false
    private var isAsking = false
    /// Sleeps until the hub is to be asked again; cancelled when that is no longer needed.
    private var pause: Task<Void, Never>?

    init(_ planned: PlannedProgram, at site: ProgramSite) {
        program = planned.program
        work = planned.work
        generation = planned.generation
        conditions = planned.conditions
        plannedCredential = planned.credential
        self.site = site
        inputs = InputQueue(planned.program, site.watches)
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
        // Preparation may take long; what comes of it is not wanted any more.
        _ = await starting?.value
        await site.watches.stop(program, reason: reason)
        // It may have had no process yet.
        if site.watches.lastState(of: program) != .stopped { report(.stopped, "asked to stop: \(reason)") }
    }

    /// Sends a signal to the program's process group, if it is still that run of it.
    ///
    /// - Returns: false where it has no watch.
    nonisolated func send(_ request: SignalRequest) -> Bool {
        site.watches.send(
            .signal(request.signal.number, run: request.run, part: RequestPart(of: request.name)), to: program)
    }

    private func live() async {
        do {
            if program.user != nil { held = try site.secrets.credential(of: program) }
        } catch {
            return report(.fatal, "its password cannot be kept in \(site.secrets.folder): \(error)")
        }
        // One that an earlier agent has started knows its password.
        if !isAgreed, !site.watches.isAtWork(program) {
            report(.starting, "waiting for the hub to let the broker know its password")
            await agree()
        }
        var backoff = Backoff(first: site.retryFirst, cap: site.retryCap)
        while !isEnding {
            do throws(PreparationError) {
                let specification = try await specification(password: held?.password ?? "")
                if !isEnding { try await watch(specification) }
                return
            } catch {
                guard !isEnding else { return }
                if error.isFinal { return report(error.state, error.reason) }
                let wait = backoff.next()
                report(.backoff, "\(error.reason); next try in \(max(1, wait.components.seconds)) s")
                try? await Task.sleep(for: wait)
            }
        }
    }

    // MARK: Password

    /// True where the broker knows its password, or need not know any.
    private var isAgreed: Bool { program.user == nil || held?.fits(plannedCredential) ?? false }

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
            return try DriverPreparation(program: program, limits: conditions.limits, site: site)
                .specification(driver: name, type: type, instance: instance, password: password)
        case .app(let work):
            return try await AppPreparation(
                program: program, conditions: conditions, site: site,
                report: { await self.preparing($0, $1) }
            ).specification(work, password: password)
        case .command(let command):
            return try CommandPreparation(program: program, site: site).specification(command)
        }
    }

    /// A step that takes time can outlast the program.
    private func preparing(_ state: ProgramState, _ what: String) {
        if !isEnding { report(state, what) }
    }

    // MARK: Watching

    private func watch(_ specification: ProgramSpecification) async throws(PreparationError) {
        let isOnce = if case .command = work { true } else { false }
        let starting = Task { [site, program, generation] in
            do throws(PreparationError) {
                try await site.watches.run(program, specification, generation: generation, isOnce: isOnce)
                return Result<Void, PreparationError>.success(())
            } catch {
                return .failure(error)
            }
        }
        self.starting = starting
        let result = await starting.value
        site.journals.follow(program)
        try result.get()
    }

    // MARK: Reports

    private func report(_ state: ProgramState, _ reason: String) {
        site.tell(program, state, reason)
    }
}

extension ProgramSite {
    /// Of a program that has no watch.
    func tell(_ program: ProgramID, _ state: ProgramState, _ reason: String) {
        journals.tell(program, state, reason)
    }

    /// To the agent's own log.
    func log(_ status: ProgramStatus, of program: ProgramID) {
        let line = "\(program) is \(status.state.rawValue): \(status.reason)"
        if status.state == .fatal || status.state == .backoff {
            logger.warning("\(line)")
        } else {
            logger.info("\(line)")
        }
    }
}

extension ProgramReport {
    init(program: ProgramID, _ status: ProgramStatus, at position: JournalPosition? = nil) {
        self.init(
            program: program, state: status.state, reason: status.reason, pid: status.pid, time: status.since,
            run: status.run, exitCode: status.exitCode, signal: status.signal, position: position)
    }
}
