import Files
import HubModel
import Logging
import MQTT

/// The running agent: follows the hub's plan, and tells the hub what becomes of it.
actor AgentCore {
    private let site: ProgramSite
    private let link: Link
    private let journals: Journals
    private let messages: AgentMessages
    private let logger: Logger
    /// How long the hub has to send its plan before the last one is taken up again.
    private let planWait: Duration

    private var placement = PlacementStateMachine()
    private var programs: [ProgramID: PlacedProgram] = [:]
    /// The bytes of the plan that is being followed.
    private var plan: [UInt8]?
    /// Programs that no plan names, while they are being ended.
    private var strays: Set<ProgramID> = []
    private var isShuttingDown = false

    private var isConnected = false
    private var isSnapshotDue = false
    private var statistics = StatisticsQueue()
    /// What the broker has not acknowledged yet.
    private var inFlight: Set<Int32> = []
    /// What has become of requests of the hub. It sends them again soon, or never.
    private var heardRequests = Recent<String, Hearing>(capacity: 1_000)
    /// Logged once, not at every attempt.
    private var lastDisconnection: MQTTError?
    private var lastRefusal: MQTTError?

    private enum Hearing {
        case underway
        case done
        case failed(String)
    }

    private static let maximumInFlight = 100
    /// How long apps and environments are kept that nothing runs from: 30 days.
    private static let keptSeconds = 30 * 86_400

    init(_ site: ProgramSite, planWait: Duration) {
        self.site = site
        link = site.link
        journals = site.journals
        messages = site.messages
        logger = site.logger
        self.planWait = planWait
    }

    /// Follows the plan until the task is cancelled, then stops all programs and says farewell.
    func serve() async {
        // Before the first snapshot is made.
        site.folders.programsWithJournals.forEach(journals.follow)
        link.start()
        let fallback = Task {
            do { try await Task.sleep(for: planWait) } catch { return }
            followStoredPlan()
        }
        let housekeeping = Task {
            // Not at once: what the plan needs is in use by then.
            while (try? await Task.sleep(for: .seconds(3_600))) != nil {
                await site.apps.removeUnused(olderThan: Self.keptSeconds)
                await site.environments.removeUnused(olderThan: Self.keptSeconds)
                await onThread { [folders = site.folders] in folders.emptyTrash() }
            }
        }
        let beating = Task { await site.device.beat(link) }
        let sampling = Task { await takeStatistics() }
        let reminding = Task {
            while (try? await Task.sleep(for: .seconds(5))) != nil { if journals.isBehind { link.wake() } }
        }
        for await _ in link.wakes {
            handle(link.take())
            send()
        }
        sampling.cancel()
        reminding.cancel()
        beating.cancel()
        fallback.cancel()
        housekeeping.cancel()
        // Cancelled as this task is, nothing could be waited for in it.
        await Task { await shutDown() }.value
    }

    // MARK: From the broker

    private func handle(_ news: Link.News) {
        if news.connections > 0 { connected() }
        if let reason = news.disconnection, !link.isConnected {
            isConnected = false
            if reason != lastDisconnection {
                logger.warning("no connection to the broker \(site.configuration.broker): \(reason)")
            }
            lastDisconnection = reason
        }
        for (id, error) in news.published {
            inFlight.remove(id)
            if let error, error != lastRefusal {
                logger.warning("the broker refuses what is sent: \(error)")
                lastRefusal = error
            }
        }
        for time in news.committedStatistics { statistics.committed(time) }
        for committed in news.committedJournals {
            journals.hubHas(committed.position, of: committed.program)
        }
        removeLeft()
        if news.isHubBack {
            isSnapshotDue = true
            statistics.sendAgain()
            journals.sendAgain()
        }
        for (sha256, bytes) in news.archives {
            Task { await site.apps.received(bytes, as: sha256) }
        }
        if let bytes = news.plan { follow(bytes) }
        for command in news.signals { send(command) }
        for command in news.inputs { send(command) }
    }

    private func connected() {
        logger.info("connected to the broker \(site.configuration.broker)")
        lastDisconnection = nil
        isConnected = true
        // libmosquitto sends again what it had in flight.
        inFlight = []
        // But of what the broker had taken, nobody knows whether it came to the hub.
        statistics.sendAgain()
        journals.sendAgain()
        do throws(MQTTError) {
            _ = try link.publish(messages.status(isOnline: true))
            isSnapshotDue = true
            _ = publish(site.device.connected())
        } catch {
            isConnected = false
        }
    }

    private func send(_ command: SignalRequest) {
        hear(command.name, of: command.program) { placed in
            logger.info("\(command.program) is to be sent \(command.signal)")
            return placed.send(command) ? .done : nil
        }
    }

    private func send(_ command: InputRequest) {
        hear(command.name, of: command.program) { placed in
            let isQueued = placed.inputs.add(command) { isTaken in
                Task { await self.tell(command.name, isTaken ? .done : .failed("its watch did not take all of it")) }
            }
            return isQueued ? .underway : nil
        }
    }

    /// Does what the hub has asked for, where that has not come before, and says how it is. Where that is lost, the hub
    /// asks again.
    ///
    /// - Parameter body: returns nil where it cannot be done now.
    private func hear(_ name: String, of program: ProgramID, _ body: (PlacedProgram) -> Hearing?) {
        if let known = heardRequests[name] { return tell(name, known) }
        guard let placed = programs[program] else {
            return say(RequestHeard(name, error: "'\(program.id)' is not here"))
        }
        guard let hearing = body(placed) else {
            return say(RequestHeard(name, error: "'\(program.id)' does not take it now"))
        }
        tell(name, hearing)
    }

    private func tell(_ name: String, _ hearing: Hearing) {
        heardRequests.add(name, hearing)
        switch hearing {
        case .underway: break
        case .done: say(RequestHeard(name))
        case .failed(let error): say(RequestHeard(name, error: error))
        }
    }

    private func say(_ heard: RequestHeard) {
        if isConnected { _ = publish([messages.heard(heard)]) }
    }

    // MARK: To the broker

    /// Sends what is waiting: news for whoever listens, the snapshot where one is due, then what the hub is to have of
    /// journals, then statistics.
    private func send() {
        while inFlight.count < Self.maximumInFlight, let (program, origin, entries) = journals.nextNews() {
            for entry in entries { if case .state(let memory) = entry.content { site.log(memory.status, of: program) } }
            // Nobody listens while there is no connection; the hub has it all later.
            let told =
                messages.news(entries, from: origin, of: program) + site.device.messages(for: entries, of: program)
            if isConnected { _ = publish(told) }
        }
        while isConnected, inFlight.count < Self.maximumInFlight {
            if isSnapshotDue {
                guard publish([messages.snapshot(journals.snapshot)]) else { return }
                isSnapshotDue = false
            } else if let (program, batch) = journals.nextBatch() {
                guard publish([messages.journal(batch, of: program)]) else { return journals.sendAgain(program) }
            } else if let sample = statistics.next {
                guard publish([messages.statistics(sample)]) else { return }
                statistics.sent()
            } else {
                return
            }
        }
    }

    /// False where the connection is gone.
    private func publish(_ messages: [OutgoingMessage]) -> Bool {
        for message in messages {
            do throws(MQTTError) {
                inFlight.insert(try link.publish(message))
            } catch {
                guard error.code != .noConnection else {
                    isConnected = false
                    return false
                }
                logger.error("a message on \(message.topic) cannot be sent: \(error)")
            }
        }
        return true
    }

    // MARK: Statistics

    private func takeStatistics() async {
        let interval = site.configuration.statisticsInterval
        guard interval > .zero else { return }
        let source = StatisticsSource(site)
        var next = ContinuousClock.now
        while !Task.isCancelled {
            let (sample, cost) = await source.sample()
            statistics.add(sample)
            if isConnected { _ = publish(site.device.messages(for: sample)) }
            link.wake()
            // On a machine with very many processes less often, so that it never takes more than a hundredth of a core.
            next = max(next + interval, ContinuousClock.now + cost * 100)
            try? await Task.sleep(until: next)
        }
    }

    // MARK: Plans

    private func follow(_ bytes: [UInt8]) {
        guard bytes != plan else { return }
        do {
            let plan = try Plan(parsing: bytes)
            follow(plan)
            removeStopped(besides: plan)
        } catch {
            logger.error("a command from the hub cannot be read: \(error)")
            return
        }
        plan = bytes
        do { try File.replace(site.folders.plan, with: bytes, isDurable: true) } catch {
            logger.error("the plan cannot be kept in \(site.folders.plan): \(error)")
        }
    }

    /// Takes up what was running before, when the hub does not say anything.
    private func followStoredPlan() {
        guard plan == nil, !isShuttingDown else { return }
        guard let bytes = try? File.bytes(of: site.folders.plan, limit: Link.maximumPlanBytes) else { return }
        do {
            let plan = try Plan(parsing: bytes)
            logger.info("the hub is not there: going on with the last plan")
            follow(plan)
        } catch {
            logger.error("the plan kept in \(site.folders.plan) cannot be read: \(error)")
        }
    }

    private func follow(_ plan: Plan) {
        guard !isShuttingDown else { return }
        _ = publish(site.device.follow(plan))
        plan.unreadable.forEach { logger.error("an entry of the plan cannot be read: \($0)") }
        placement.follow(plan).forEach(perform)
    }

    /// Ends what an earlier agent has started and the plan does not name, and removes what such programs have left.
    private func removeStopped(besides plan: Plan) {
        // What cannot be read might name one of them.
        guard !isShuttingDown, plan.unreadable.isEmpty else { return }
        let wanted = Set(plan.programs.map(\.program) + plan.refused.map(\.0)).union(programs.keys)
        for program in site.folders.placedPrograms where !wanted.contains(program) && strays.insert(program).inserted {
            Task {
                await site.watches.stop(program, reason: "it is not to run on this node any more")
                strays.remove(program)
                // It may have been placed here again meanwhile.
                if programs[program] == nil { perform(.forget(program)) }
            }
        }
    }

    /// Out of the way of a program that comes back at once; to remove all of it may take a while.
    private func removeLeft() {
        let left = journals.takeLeft()
        guard !left.isEmpty else { return }
        let folders = site.folders
        left.forEach(folders.discard)
        Task { await onThread { folders.emptyTrash() } }
    }

    private func perform(_ action: PlacementStateMachine.Action) {
        switch action {
        case .start(let planned):
            journals.keep(planned.program)
            let placed = PlacedProgram(planned, at: site)
            programs[planned.program] = placed
            Task { await placed.start() }
        case .tellCredential(let program, let credential):
            guard let placed = programs[program] else { return }
            Task { await placed.credentialChanged(to: credential) }
        case .end(let program, let reason):
            guard let placed = programs[program] else { return }
            Task {
                await placed.end(reason: reason)
                ended(program)
            }
        case .refuse(let program, let reason):
            site.tell(program, .fatal, reason)
        case .rest(let program):
            site.tell(program, .stopped, "it is disabled")
        case .forget(let program):
            site.secrets.remove(program)
            let folder = site.folders.program(program)
            switch program.kind {
            // What the driver itself has kept stays, should its sensor come back.
            case .driver:
                try? Folder.remove("\(folder)/config.json")
                journals.forget(program, removing: site.folders.watch(of: program).root)
            // No other one will ever have its id.
            case .algorithm, .command: journals.forget(program, removing: folder)
            }
            site.confinement.forget(program)
        }
    }

    private func ended(_ program: ProgramID) {
        programs[program] = nil
        if !isShuttingDown { placement.ended(program).forEach(perform) }
    }

    // MARK: The end

    private func shutDown() async {
        isShuttingDown = true
        logger.info("stopping \(programs.count) programs")
        await withTaskGroup { tasks in
            for placed in programs.values { tasks.addTask { await placed.end(reason: "the agent stops") } }
        }
        // What no plan has named yet.
        await withTaskGroup { tasks in
            for program in site.watches.atWork {
                tasks.addTask { [watches = site.watches] in await watches.stop(program, reason: "the agent stops") }
            }
        }
        await site.watches.leave()
        await site.environments.stop()
        // The hub should hear of it; but a broker that is away must not hold us.
        let deadline = ContinuousClock.now + .seconds(3)
        repeat {
            handle(link.take())
            send()
            if !isConnected || (!journals.isBehind && inFlight.isEmpty) { break }
            try? await Task.sleep(for: .milliseconds(10))
        } while ContinuousClock.now < deadline
        _ = try? link.publish(messages.status(isOnline: false))
        await link.stop()
    }
}
