import Glibc

/// PostgreSQL's server programs of one major version.
struct PostgresPrograms: Sendable, Hashable {
    let folder: String

    var server: String { "\(folder)/postgres" }
    var initdb: String { "\(folder)/initdb" }

    /// Finds the programs: of the version that `version` names (a cluster can only be run by the one that made it), else
    /// those that pg_config speaks of, else the newest.
    ///
    /// - Throws: `EmbeddedError` with the package to install.
    static func find(version: Int?) async throws -> PostgresPrograms {
        if let version {
            if let programs = PostgresPrograms(folder: "\(debianFolder)/\(version)/bin") { return programs }
            if let programs = await ofConfig(), await programs.majorVersion() == version { return programs }
            throw EmbeddedError(
                .missingPackage,
                """
                the database was made by PostgreSQL \(version), which is not installed; \
                install it with: apt install postgresql-\(version)
                """)
        }
        let newest = names(in: debianFolder).compactMap { Int($0) }.sorted(by: >).lazy
            .compactMap { PostgresPrograms(folder: "\(debianFolder)/\($0)/bin") }.first
        guard let programs = await ofConfig() ?? newest else {
            throw EmbeddedError(
                .missingPackage, "PostgreSQL is not installed; install it with: apt install postgresql")
        }
        return programs
    }

    private static let debianFolder = "/usr/lib/postgresql"

    private init?(folder: String) {
        self.folder = folder
        guard access(server, X_OK) == 0, access(initdb, X_OK) == 0 else { return nil }
    }

    private static func ofConfig() async -> PostgresPrograms? {
        guard let config = findProgram("pg_config"),
            let output = try? await Command(executable: config, arguments: ["--bindir"]).run(),
            let folder = output.split(whereSeparator: \.isNewline).first
        else { return nil }
        return PostgresPrograms(folder: String(folder))
    }

    /// From `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`.
    private func majorVersion() async -> Int? {
        guard let output = try? await Command(executable: server, arguments: ["--version"]).run() else { return nil }
        return output.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }
    }
}
