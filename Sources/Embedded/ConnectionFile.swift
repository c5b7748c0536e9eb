import SimdJSON

/// How the command line reaches the hub that runs in a data folder.
struct ConnectionFile: Sendable, Hashable {
    var hub: String
    /// As `BrokerAddress` reads it.
    var broker: String
    var user: String
    var password: String
    /// A connection string of libpq, for the role that owns everything.
    var database: String
    /// The command with which a person looks into the database.
    var psql: String
    var data: String
    var pid: Int32

    var text: String {
        let json: JSON = [
            "hub": .string(hub), "broker": .string(broker), "user": .string(user), "password": .string(password),
            "database": .string(database), "psql": .string(psql), "data": .string(data), "pid": .int(Int64(pid)),
        ]
        return json.text(indented: true) + "\n"
    }
}

extension ConnectionFile {
    /// Nil where there is no such file or it is not one of ours.
    init?(readingFrom path: String) throws(EmbeddedError) {
        guard let bytes = try readFile(path), let json = try? JSON(parsing: bytes),
            let hub = json["hub"]?.string, let broker = json["broker"]?.string, let user = json["user"]?.string,
            let password = json["password"]?.string, let database = json["database"]?.string,
            let psql = json["psql"]?.string, let data = json["data"]?.string,
            let pid = json["pid"]?.int.flatMap({ Int32(exactly: $0) })
        else { return nil }
        self.init(
            hub: hub, broker: broker, user: user, password: password, database: database, psql: psql, data: data,
            pid: pid)
    }
}
