import CShims
import Glibc
import Watch

// Started by the agent and by itself, not by people:
//
//     sensorhub-watch FOLDER KEEPER    watches the program of a folder; KEEPER is its keeper's folder
//     sensorhub-watch --keep FOLDER    is the parent of watches
//     sensorhub-watch --terminal SOCKET -- PROGRAM …
//                                      runs a program in a terminal; who sees it is behind the socket

sh_use_one_heap()
let arguments = CommandLine.arguments

func fail(_ reason: String) -> Never {
    let text = Array("sensorhub-watch: \(reason)\n".utf8)
    _ = write(STDERR_FILENO, text, text.count)
    exit(1)
}

if arguments.count > 4, arguments[1] == "--terminal", arguments[3] == "--" {
    TerminalRelay.run(Array(arguments[4...]), socket: arguments[2])
}
guard arguments.count == 3 else { fail("this program is started by sensorhub's agent, and not of use without it") }
do {
    if arguments[1] == "--keep" {
        let keeper = try Keeper(arguments[2], program: arguments[0])
        sh_let_go_of_startup()
        keeper.run()
    } else {
        let watch = try Watch(WatchFolder(arguments[1]), keeper: arguments[2])
        sh_let_go_of_startup()
        watch.run()
    }
} catch {
    fail("\(error)")
}
