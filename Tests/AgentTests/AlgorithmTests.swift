import Credentials
import Files
import Glibc
import HubModel
import MQTT
import SimdJSON
import Testing
import Watch

@testable import Agent

/// The platform library of this project.
private let library = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/Python"

@Test func anExecutableFromItsArchive() async throws {
    try await Bench.run { bench in
        let archive = try bench.archive([
            "main.sh":
                "#!/bin/sh\necho \"$1 $SENSORHUB_INSTANCE $SENSORHUB_APP $SENSORHUB_USER\"; cat data.txt; sleep 1.2",
            "data.txt": "beside it\n",
        ])
        let sha = sha256(archive)
        bench.startAgent()
        try await bench.run("light-1", sha256: sha, script: "main.sh", archive: archive)
        try await bench.wait("the end") { $0.states(of: "light-1").last == "EXITED" }
        #expect(bench.last(of: "light-1")?["reason"]?.string == "exit code 0")
        let log = bench.topics.algorithm("light-1", .log)
        #expect(bench.lines(on: log) == ["light-1 light-1 bus algorithm.light-1", "beside it"])
        #expect(access("\(bench.data)/apps/bus-\(sha.prefix(12))/main.sh", X_OK) == 0)

        // A second instance finds the app there.
        let wanted = bench.reports("archive_wanted").count
        try await bench.run("light-2", sha256: sha, script: "main.sh")
        try await bench.wait("the end") { $0.states(of: "light-2").last == "EXITED" }
        #expect(bench.reports("archive_wanted").count == wanted)

        try await bench.run("light-3", sha256: sha, script: "none.sh")
        try await bench.wait("fatal") { $0.states(of: "light-3").last == "FATAL" }
        #expect(bench.last(of: "light-3")?["reason"]?.string == "app 'bus' has no file 'none.sh'")
    }
}

@Test func whatAnAlgorithmKeepsOutlivesItsRunsAndGoesWithTheInstance() async throws {
    try await Bench.run { bench in
        let archive = try bench.archive([
            "main.sh": """
            #!/bin/sh
            if [ -e "$SENSORHUB_STATE/kept" ]; then echo "found $(cat "$SENSORHUB_STATE/kept")"; exec sleep 1000; fi
            echo it > "$SENSORHUB_STATE/kept"; kill -9 $$
            """
        ])
        let folder = "\(bench.data)/programs/algorithm-light-1"
        bench.startAgent()
        try await bench.run("light-1", sha256: sha256(archive), script: "main.sh", archive: archive)
        try await bench.wait("the next run") {
            $0.lines(on: $0.topics.algorithm("light-1", .log)).contains("found it")
        }
        #expect(access("\(folder)/state/kept", F_OK) == 0)
        // Stopped while the agent is away, and found out when the hub's plan comes.
        await bench.stopAgent()
        #expect(access("\(folder)/state/kept", F_OK) == 0)
        bench.startAgent()
        try await bench.wait("the snapshot") { $0.reports("snapshot").count == 2 }
        try await bench.send(plan: [])
        try await bench.wait("the end of the folder") { _ in access(folder, F_OK) == 0 ? nil : true }
        #expect(access("\(bench.data)/secrets/algorithm-light-1", F_OK) != 0)

        // Stopped while it runs.
        try await bench.run("light-2", sha256: sha256(archive), script: "main.sh")
        let other = "\(bench.data)/programs/algorithm-light-2"
        try await bench.wait("its file") { _ in access("\(other)/state/kept", F_OK) == 0 ? true : nil }
        try await bench.send(plan: [])
        try await bench.wait("the end of the folder") { _ in access(other, F_OK) == 0 ? nil : true }
    }
}

@Test func anArchiveIsCheckedBeforeItIsUsed() async throws {
    try await Bench.run { bench in
        let archive = try bench.archive(["main.sh": "#!/bin/sh\n"])
        bench.startAgent()
        try await bench.run("light-1", sha256: sha256(archive + [0]), script: "main.sh", archive: archive)
        try await bench.wait("back-off") { $0.states(of: "light-1").last == "BACKOFF" }
        #expect(bench.last(of: "light-1")?["reason"]?.string?.contains("its SHA-256 differs") == true)

        let nonsense = Array("no archive".utf8)
        try await bench.run("light-2", sha256: sha256(nonsense), script: "main.sh", archive: nonsense)
        try await bench.wait("back-off") { $0.states(of: "light-2").last == "BACKOFF" }
        #expect(bench.last(of: "light-2")?["reason"]?.string?.contains("neither a zip nor a tar.gz") == true)
        #expect(try Folder.names(in: "\(bench.data)/apps").isEmpty)
        // Nobody asked for this one.
        try await bench.publish(bench.topics.archive(node: "here", sha256: "../../etc/x"), archive)
        try await bench.publish(bench.topics.archive(node: "here", sha256: sha256(archive)), archive)
        try await bench.publish(bench.topics.hubStatus, Array(#"{"status": "online"}"#.utf8))
        try await bench.wait("a snapshot") { $0.reports("snapshot").count == 2 }
        #expect(try Folder.names(in: "\(bench.data)/apps").isEmpty)
    }
}

/// Needs the package index, as a new node does.
@Test func pythonEnvironments() async throws {
    try await Bench.run { bench in
        let archive = try bench.archive([
            "main.py":
                "import sys, time, sensorhub\nprint(sys.argv[1], sensorhub.__name__)\ntime.sleep(1.2)",
            "bad.py": "raise ValueError('boom')",
        ])
        let sha = sha256(archive)
        bench.startAgent(pythonLibrary: library)
        try await bench.run("light-1", sha256: sha, script: "main.py", language: "python", archive: archive)
        try await bench.wait("the end", seconds: 120) { $0.states(of: "light-1").last == "EXITED" }
        #expect(bench.last(of: "light-1")?["reason"]?.string == "exit code 0")
        let lines = bench.lines(on: bench.topics.algorithm("light-1", .log))
        #expect(
            lines == [
                "preparing a Python environment", "packing the platform library", "the Python environment is ready",
                "light-1 sensorhub",
            ])

        // Shared: no second build.
        try await bench.run("light-2", sha256: sha, script: "bad.py", language: "python")
        try await bench.wait("back-off") { $0.states(of: "light-2").contains("BACKOFF") }
        #expect(
            bench.reports(of: "light-2").contains {
                $0.reason.hasPrefix("exited before 1 s: exit code 1: ValueError: boom; next start in ")
            })
        #expect(try Folder.names(in: "\(bench.data)/environments").count == 1)

        try await bench.run(
            "light-3", sha256: sha, script: "main.py", language: "python",
            requirements: ["sensorhub-no-such-package==9.9"])
        try await bench.wait("back-off", seconds: 120) { $0.states(of: "light-3").last == "BACKOFF" }
        let reason = try #require(bench.last(of: "light-3")?["reason"]?.string)
        #expect(
            reason.hasPrefix("pip: No matching distribution found for sensorhub-no-such-package==9.9; next try in "))
        let log = bench.lines(on: bench.topics.algorithm("light-3", .log))
        #expect(log.first == "preparing a Python environment with sensorhub-no-such-package==9.9")
        #expect(log.contains { $0.hasPrefix("ERROR: ") })
    }
}

/// A stand-in for the interpreter that keeps a record of what it was asked for.
private let interpreter = """
    echo "$*" >> "$(dirname "$(readlink -f "$0")")/calls"
    case "$*" in
    *sys.version*) echo fake 1.0;;
    *venv*) sleep 0.5; mkdir -p "$3/bin"; ln -s "$(readlink -f "$0")" "$3/bin/python";;
    *--no-deps*) mkdir -p "$9"; touch "$9/lib-1.0-py3-none-any.whl";;
    *slow-package*) exec sleep 1000;;
    *pip*) ;;
    *) echo "ran $*"; sleep 1.2;;
    esac
    """

@Test func anEnvironmentIsMadeOnceForAllWhoNeedIt() async throws {
    try await Bench.run { bench in
        try bench.writeScript(interpreter, as: "python")
        let archive = try bench.archive(["main.py": ""])
        let sha = sha256(archive)
        bench.startAgent(pythonLibrary: library, python: "\(bench.folder)/python")
        try await bench.wait("the snapshot") { !$0.reports("snapshot").isEmpty }
        let names = (1...5).map { "light-\($0)" }
        func plan(_ requirements: [String: [JSON]]) -> [JSON] {
            names.map {
                Bench.algorithm(
                    $0, credential: bench.credentials(of: "algorithm-\($0)").first, sha256: sha, script: "main.py",
                    language: "python", requirements: requirements[$0] ?? [])
            }
        }
        try await bench.send(plan: plan([:]))
        for name in names { _ = try await bench.credential(of: "algorithm-\(name)") }
        try await bench.send(plan: plan([:]))
        try await bench.wait("archive_wanted") { !$0.reports("archive_wanted").isEmpty }
        try await bench.publish(bench.topics.archive(node: "here", sha256: sha), archive)
        for name in names {
            try await bench.wait("the end of \(name)") { $0.states(of: name).last == "EXITED" }
            let lines = bench.lines(on: bench.topics.algorithm(name, .log))
            #expect(lines.last == "ran -u \(bench.data)/apps/bus-\(sha.prefix(12))/main.py \(name)")
            #expect(lines.contains("preparing a Python environment"))
        }
        #expect(bench.reports("archive_wanted").count == 1)
        func calls(_ word: String) throws -> Int {
            String(decoding: try File.bytes(of: "\(bench.folder)/calls"), as: UTF8.self)
                .split(separator: "\n").count { $0.contains(word) }
        }
        #expect(try calls("venv") == 1)
        #expect(try calls("wheel --no-deps") == 1)
        #expect(try calls("install --find-links") == 1)
        #expect(try calls("--no-index") == 1)

        // An agent that is stopped leaves nothing behind that still works, and nothing half made that is used.
        try await bench.send(plan: plan(["light-1": ["slow-package==1"]]))
        try await bench.wait("slow pip") { _ in (try? calls("slow-package")) == 1 }
        let start = ContinuousClock.now
        await bench.stopAgent()
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(try Folder.names(in: "\(bench.data)/running").isEmpty)
        #expect(try Folder.names(in: "\(bench.data)/environments").count == 2)
        try FileRemoval.plan(of: bench)
        bench.startAgent(planWait: .zero, pythonLibrary: library, python: "\(bench.folder)/python")
        try await bench.wait("the snapshot") { $0.reports("snapshot").count > 1 }
        #expect(try Folder.names(in: "\(bench.data)/environments").count == 1)
        #expect(try calls("venv") == 2)
    }
}

private enum FileRemoval {
    static func plan(of bench: Bench) throws { try Folder.remove("\(bench.data)/plan.json") }
}

@Test func withoutPythonTheReasonIsSaid() async throws {
    try await Bench.run { bench in
        let archive = try bench.archive(["main.py": ""])
        bench.startAgent(pythonLibrary: "/nowhere")
        try await bench.run("light-1", sha256: sha256(archive), script: "main.py", language: "python", archive: archive)
        try await bench.wait("back-off") { $0.states(of: "light-1").last == "BACKOFF" }
        #expect(
            bench.last(of: "light-1")?["reason"]?.string?
                .hasPrefix(
                    "the platform library for Python is not in '/nowhere': no pyproject.toml there; next try in ")
                == true)
        // Removed while it waits for its next try.
        try await bench.send(plan: [])
        try await bench.wait("stopped") { $0.states(of: "light-1").last == "STOPPED" }
    }
}

extension Bench {
    /// Has the running agent run one algorithm instance, and sends the archive when it is wanted.
    func run(
        _ id: String, sha256: String, script: String, language: String = "executable", requirements: [JSON] = [],
        archive: [UInt8]? = nil
    ) async throws {
        func plan(_ credential: String?) async throws {
            try await send(plan: [
                Self.algorithm(
                    id, credential: credential, sha256: sha256, script: script, language: language,
                    requirements: requirements)
            ])
        }
        try await wait("the snapshot") { !$0.reports("snapshot").isEmpty }
        try await plan(nil)
        try await plan(try await credential(of: "algorithm-\(id)"))
        guard let archive else { return }
        try await wait("archive_wanted") { $0.reports("archive_wanted").contains { $0["sha256"]?.string == sha256 } }
        try await publish(topics.archive(node: "here", sha256: sha256), archive)
    }
}
