import Files
import Glibc
import HubModel
import Watch

/// Makes what an algorithm instance needs to run: the app's files, and its Python environment.
struct AlgorithmPreparation: Sendable {
    let program: ProgramID
    let site: ProgramSite
    /// Told what takes time.
    let report: @Sendable (String) async -> Void

    func specification(
        app: Identifier, sha256: String, script: String, language: Language, requirements: [String], password: String
    ) async throws(PreparationError) -> ProgramSpecification {
        let folder = try await site.apps.folder(of: app, sha256: sha256) { await report("fetching app '\(app)'") }
        let path = "\(folder)/\(script)"
        var file = stat()
        guard stat(path, &file) == 0, file.st_mode & S_IFMT == S_IFREG else {
            throw PreparationError("app '\(app)' has no file '\(script)'", isFinal: true)
        }
        do { try Folder.make(site.folders.state(of: program)) } catch {
            throw PreparationError("\(site.folders.state(of: program)) cannot be made: \(error)")
        }

        var environment = site.environment(of: program, password: password)
        environment["SENSORHUB_INSTANCE"] = program.id.text
        environment["SENSORHUB_APP"] = app.text
        environment["SENSORHUB_STATE"] = site.folders.state(of: program)
        let executable: String, arguments: [String]
        switch language {
        case .python:
            executable = try await site.environments.interpreter(
                for: requirements, waiting: { await report("preparing Python environment") },
                progress: { [journals = site.journals, program] in journals.tell(program, $0) })
            // -u: what it prints is there at once. The whole path: a name like '-c' would be an option.
            arguments = ["-u", path, program.id.text]
        case .executable:
            // A zip made elsewhere does not say that a file may be executed.
            guard chmod(path, 0o700) == 0 else {
                throw PreparationError("'\(script)' cannot be made executable: \(String(cString: strerror(errno)))")
            }
            executable = path
            arguments = [program.id.text]
        }
        return ProgramSpecification(
            executable: executable, arguments: arguments, environment: environment, workingDirectory: folder,
            input: .pipe,
            restart: RestartPolicy(.unexpected, startRetries: 10, backoffCap: .seconds(60)))
    }
}
