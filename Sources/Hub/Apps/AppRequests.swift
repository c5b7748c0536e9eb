import Archive
import Credentials
import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `apps/install`: checks the archive and keeps it; running instances go on with the version that they have.
    func installApp(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["app_id", "archive"])
        let id = try parameters.required("app_id").identifier()
        let archiveReader = try parameters.required("archive")
        guard let bytes = Base64.decode(try archiveReader.nonEmptyString().utf8) else {
            throw archiveReader.error("expected base64")
        }
        let (manifest, document) = try Self.checkedManifest(of: bytes, app: id)
        let version = sha256(bytes)
        let known = try database.query("SELECT sha256 FROM hub.app WHERE id = $1", .text(id.text)).first?.text("sha256")
        if known != version {
            try database.transaction {
                try storeArchive(bytes, version, app: id, manifest: document)
                try database.query(
                    "INSERT INTO hub.app (id, sha256) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET sha256 = EXCLUDED.sha256",
                    .text(id.text), .text(version))
                try record("app.installed", id.text, ["version": .string(version), "bytes": .int(Int64(bytes.count))])
            }
        }
        return Reply([
            "app_id": .string(id.text), "version": .string(version), "changed": .bool(known != version),
            "algorithms": .array(manifest.algorithms.map { .string($0.name.text) }),
        ])
    }

    /// Keeps an archive under its digest. In a transaction of the caller.
    ///
    /// - Parameter manifest: `appConfig.json`; an empty object for an app of a device.
    func storeArchive(_ bytes: [UInt8], _ sha256: String, app: Identifier, manifest: JSON) throws(PostgresError) {
        // One that is there may be without its bytes, or without a manifest.
        try database.query(
            """
            INSERT INTO hub.app_version AS v (app_id, sha256, manifest, archive) VALUES ($1, $2, $3, $4)
            ON CONFLICT (app_id, sha256) DO UPDATE SET archive = EXCLUDED.archive,
                manifest = CASE WHEN EXCLUDED.manifest = '{}' THEN v.manifest ELSE EXCLUDED.manifest END
            """, .text(app.text), .text(sha256), .text(manifest.text()), .bytes(bytes))
    }

    /// Reads `appConfig.json` and checks it against the rest of the archive.
    private static func checkedManifest(of bytes: [UInt8], app id: Identifier) throws -> (AppManifest, JSON) {
        let name = "appConfig.json"
        let files: (paths: [String], contents: [String: [UInt8]])
        do {
            files = try Archive(bytes).read(keeping: [name])
        } catch {
            throw Refusal(.badRequest, "the archive cannot be taken: \(error)")
        }
        guard let content = files.contents[name] else {
            let elsewhere = files.paths.first { $0.hasSuffix("/\(name)") }
            throw Refusal(
                .badRequest,
                "the archive has no \(name) at its top level"
                    + (elsewhere.map { ": it is at '\($0)'; pack the files, not the folder they are in" } ?? ""))
        }
        let document: JSON
        let manifest: AppManifest
        do {
            document = try JSON(parsing: content)
            manifest = try AppManifest(DocumentReader(document))
        } catch {
            throw Refusal(.badRequest, "\(name): \(error)")
        }
        guard manifest.id == id else {
            throw Refusal(
                .badRequest, "\(name): application_id: is '\(manifest.id)', but the app is installed as '\(id)'")
        }
        for (index, algorithm) in manifest.algorithms.enumerated() where !files.paths.contains(algorithm.script) {
            throw Refusal(
                .badRequest,
                "\(name): algorithm_list[\(index)].script.name: the archive has no file '\(algorithm.script)'"
                    + didYouMean(algorithm.script, among: files.paths))
        }
        return (manifest, document)
    }

    /// `apps/list`
    func listApps(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly([])
        let rows = try database.query(
            """
            SELECT a.id, a.sha256, (extract(epoch FROM v.installed_at) * 1000000)::bigint AS installed_at,
                   octet_length(v.archive) AS bytes, v.manifest,
                   (SELECT count(*) FROM hub.algorithm_instance i WHERE i.app_id = a.id AND i.stopped_at IS NULL) AS instances
            FROM hub.app a JOIN hub.app_version v ON v.app_id = a.id AND v.sha256 = a.sha256 ORDER BY a.id
            """)
        return Reply([
            "apps": .array(
                try rows.map { row in
                    let manifest = try AppManifest(DocumentReader(JSON(parsing: row.text("manifest"))))
                    return [
                        "app_id": .string(row.text("id")), "name": .string(manifest.name),
                        "developer": .string(manifest.developer), "version": .string(row.text("sha256")),
                        "bytes": .int(row.int("bytes")), "installed_at": .int(row.int("installed_at")),
                        "algorithms": .array(manifest.algorithms.map { .string($0.name.text) }),
                        "instances": .int(row.int("instances")),
                    ]
                })
        ])
    }

    /// `apps/delete`: refused while an instance runs; what ran stays on record.
    func deleteApp(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["app_id"])
        let app = try requiredApp(parameters.required("app_id"))
        let running = instances.values.filter { $0.app == app.manifest.id }.map(\.id.text).sorted()
        guard running.isEmpty else {
            throw Refusal(
                .conflict,
                "app '\(app.manifest.id)' has running instances: \(running.joined(separator: ", ")); stop them first")
        }
        try database.transaction {
            try database.query("DELETE FROM hub.app WHERE id = $1", .text(app.manifest.id.text))
            // A version that never ran is not needed for the record.
            try database.query(
                """
                DELETE FROM hub.app_version v WHERE app_id = $1 AND NOT EXISTS (
                    SELECT FROM hub.algorithm_instance i WHERE i.app_id = v.app_id AND i.sha256 = v.sha256)
                """, .text(app.manifest.id.text))
            try record("app.deleted", app.manifest.id.text)
        }
        return Reply()
    }

    /// The installed app that a parameter names.
    func requiredApp(_ parameter: DocumentReader) throws -> (manifest: AppManifest, sha256: String) {
        let id = try parameter.string()
        let rows = try database.query(
            """
            SELECT a.sha256, v.manifest FROM hub.app a JOIN hub.app_version v ON v.app_id = a.id AND v.sha256 = a.sha256
            WHERE a.id = $1
            """, .text(id))
        guard let row = rows.first else {
            let names = try database.query("SELECT id FROM hub.app").map { $0.text("id") }
            throw Refusal(
                .notFound, "\(parameter.path): app '\(id.prefix(80))' is not installed\(didYouMean(id, among: names))")
        }
        return (try AppManifest(DocumentReader(JSON(parsing: row.text("manifest")))), row.text("sha256"))
    }
}
