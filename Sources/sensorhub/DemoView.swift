import Glibc
import HubModel
import MQTT
import SimdJSON
import Synchronization

/// What the demo shows: on a terminal a picture of the present state, elsewhere a line for each event.
final class DemoView: Sendable {
    private struct State {
        /// By sensor: the newest reading as text, and when it came.
        var readings: [String: (text: String, at: ContinuousClock.Instant)] = [:]
        var programs: [JSON] = []
        /// The last things that were done, newest last.
        var happenings: [String] = []
        /// When a reading of a sensor was last given a line.
        var lineAt: [String: ContinuousClock.Instant] = [:]
    }

    private let topics: Topics
    private let isInteractive: Bool
    private let state = Mutex(State())

    private static let shownHappenings = 6
    /// Without a terminal, a sensor's readings are shown this often: the rest is in the database.
    private static let lineInterval = Duration.seconds(10)

    init(topics: Topics, isInteractive: Bool) {
        self.topics = topics
        self.isInteractive = isInteractive
    }

    /// Takes notice of a message.
    ///
    /// - Returns: lines to print, where there is no terminal to draw on.
    func take(_ message: Message) -> [String] {
        guard let parts = topics.parts(of: message.topic), parts.count >= 3,
            let payload = try? JSON(parsing: message.payload)
        else { return [] }
        let name = String(parts[1])
        switch (parts[0], parts[2]) {
        case ("sensors", "data"): return takeReading(of: name, payload)
        case ("sensors", "control") where parts.count == 3:
            return happened("control  \(name): \(payload.plain("function")) \(payload["params"]?.pairs ?? "")")
        case ("apps", _):
            // Which of an app's instances says so, and when, is not what a page is read for.
            var page = payload.object ?? [:]
            page["instance"] = nil
            page["time"] = nil
            return happened("page     \(name): \(rounded(.object(page)).pairs)")
        case (_, "events"):
            // The picture has a table for these.
            guard !isInteractive else { return [] }
            return ["program  \(name): \(payload.plain("state")) \(payload.plain("reason"))"]
        default: return []
        }
    }

    func take(programs: [JSON]) {
        state.withLock { $0.programs = programs }
    }

    private func takeReading(of sensor: String, _ payload: JSON) -> [String] {
        // Several in one message: the newest is the last.
        let reading = payload.array?.last ?? payload
        let text = rounded(reading["v"] ?? reading).pairs
        let now = ContinuousClock.now
        return state.withLock { state in
            state.readings[sensor] = (text, now)
            guard !isInteractive, state.lineAt[sensor].map({ now - $0 >= Self.lineInterval }) ?? true else { return [] }
            state.lineAt[sensor] = now
            return ["reading  \(sensor): \(text)"]
        }
    }

    private func happened(_ text: String) -> [String] {
        let line = printable(text)
        guard isInteractive else { return [line] }
        state.withLock { state in
            state.happenings.append("\(timeOfDay()) \(line)")
            if state.happenings.count > Self.shownHappenings { state.happenings.removeFirst() }
        }
        return []
    }

    /// The present state, as lines; few enough for a terminal of 24.
    func picture() -> [String] {
        let (readings, programs, happenings) = state.withLock { ($0.readings, $0.programs, $0.happenings) }
        let now = ContinuousClock.now
        var sensors = Table(["sensor", "driver", "age", "latest reading"])
        for driver in programs where driver["kind"] == "driver" {
            let name = driver.plain("id")
            let reading = readings[name]
            sensors.add([
                name, stateText(driver), reading.map { "\((now - $0.at).components.seconds) s" } ?? "",
                reading?.text ?? "",
            ])
        }
        var algorithms = Table(["algorithm", "state", "sensors"])
        for algorithm in programs where algorithm["kind"] == "algorithm" {
            algorithms.add([algorithm.plain("id"), stateText(algorithm), algorithm.plain("sensors")])
        }
        return [""] + sensors.lines + [""] + algorithms.lines + [""]
            + (happenings.isEmpty ? ["no app has said anything yet"] : happenings)
    }

    /// The state, with the reason where it is not as it should be.
    private func stateText(_ program: JSON) -> String {
        let state = program.plain("state")
        return state == "RUNNING" ? state : "\(state) \(program.plain("reason").prefix(40))"
    }

    /// Numbers of an object cut to what a person reads at a glance.
    private func rounded(_ value: JSON) -> JSON {
        guard let object = value.object else { return value }
        return .object(
            JSONObject(
                object.map { member in
                    guard case .double(let number) = member.value, abs(number) < 1e9 else {
                        return (member.key, member.value)
                    }
                    return (member.key, .double((number * 10_000).rounded() / 10_000))
                }))
    }

    private func timeOfDay() -> String {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }
}
