import Glibc
import Hub
import MQTT

/// A mosquitto of the hub's own, with its files under the data folder.
struct PrivateBroker: Sendable {
    let data: DataDirectory
    /// Whom it runs as in the end; it is started as ourselves and changes to it.
    let account: Account
    let executable: String
    /// The port of `local`, kept from other hubs.
    private let reservation: PortReservation
    /// Where it listens for programs of this machine, besides the port.
    let socket: UnixSocket
    /// Where it listens for others.
    let listeners: [TCPAddress]

    /// Finds mosquitto, chooses the port and makes the folder; no other program may run in it any more.
    ///
    /// - Throws: `EmbeddedError` where mosquitto is not installed, an address cannot be had or the folder not be made.
    init(data: DataDirectory, runningAs runner: Account, listeners: [TCPAddress]) throws(EmbeddedError) {
        guard let executable = findProgram("mosquitto") else {
            throw EmbeddedError(
                .missingPackage, "mosquitto is not installed; install it with: apt install mosquitto")
        }
        if runner.isRoot {
            guard let mosquitto = Account.named("mosquitto") else {
                throw EmbeddedError(
                    .missingPackage,
                    "there is no account 'mosquitto' on this machine; it comes with: apt install mosquitto")
            }
            account = mosquitto
        } else {
            account = runner
        }
        self.data = data
        self.executable = executable
        self.listeners = listeners
        let path = "\(data.brokerSockets)/\(Self.socketName)"
        do throws(InvalidAddress) {
            socket = try UnixSocket(path: path)
        } catch {
            throw EmbeddedError(
                .dataDirectory, "the broker's socket \(path) \(error); choose another data folder with --data")
        }
        for address in listeners { try ListenAddress.check(address) }
        try makeFolder(data.broker, mode: 0o700, owner: account)
        try makeFolder(data.brokerSockets, mode: 0o755, owner: account)
        reservation = try ListenAddress.loopbackPort(preferred: try Self.lastPort(data), avoiding: listeners)
    }

    /// Where hub, agent and command line find it.
    var local: TCPAddress { TCPAddress(host: "127.0.0.1", port: reservation.port) }

    /// To be asked while mosquitto cannot be started.
    ///
    /// - Throws: `EmbeddedError` with the address that another program has taken since it was looked at.
    func checkAddresses() throws(EmbeddedError) {
        for address in [local] + listeners { try ListenAddress.check(address) }
    }

    /// What it is to run in.
    var workingDirectory: String { data.broker }
    var configurationFile: String { "\(data.broker)/mosquitto.conf" }
    var arguments: [String] { ["-c", configurationFile] }
    var pidFile: String { "\(data.broker)/mosquitto.pid" }
    var accessFiles: BrokerAccessFiles {
        BrokerAccessFiles(
            passwordFile: "\(data.broker)/passwords", aclFile: "\(data.broker)/acl", pidFile: pidFile)
    }

    /// `host:port` of each way to it, the loopback port first.
    var addresses: [String] {
        ([local] + listeners).flatMap(ListenAddress.reachable)
    }

    /// `host:port` of those that devices are to be told.
    var advertised: [String] {
        (listeners.isEmpty ? [local] : listeners).flatMap(ListenAddress.reachable)
    }

    /// Writes its configuration: the one for a service install with our own files and listeners.
    ///
    /// - Parameter template: the path of that one.
    func writeConfiguration(template: String) throws(EmbeddedError) {
        guard let text = try readText(template) else { throw EmbeddedError(.file, "\(template) is missing") }
        var configuration = MosquittoConfiguration(parsing: text)
        // Ours comes first: the next start reads the port from there.
        // mosquitto takes the path of a socket up to the first space only, so it is told the way from its own folder.
        try configuration.set(
            "listener",
            to: ([local] + listeners).map { "\($0.port) \($0.host)" } + ["0 ../mqtt/\(Self.socketName)"])
        try configuration.set("user", to: account.name)
        try configuration.set("password_file", to: accessFiles.passwordFile)
        try configuration.set("acl_file", to: accessFiles.aclFile)
        try configuration.set("pid_file", to: pidFile)
        try configuration.set("persistence_location", to: "\(data.broker)/")
        try configuration.set("log_dest", to: "stderr")
        try writeFile(configurationFile, configuration.text, mode: 0o600)
    }

    private static let socketName = "mqtt.sock"

    /// The loopback port of the last run.
    private static func lastPort(_ data: DataDirectory) throws(EmbeddedError) -> UInt16? {
        guard let text = try readText("\(data.broker)/mosquitto.conf") else { return nil }
        return MosquittoConfiguration(parsing: text)["listener"].first?.split(separator: " ").first
            .flatMap { UInt16($0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}
