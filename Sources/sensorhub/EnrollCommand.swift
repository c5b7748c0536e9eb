import ArgumentParser
import Credentials
import Embedded
import Hub
import HubModel
import MQTT
import Postgres
import SimdJSON

struct EnrollCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enroll", abstract: "Give a machine or a person access to a hub that runs as a service.",
        discussion: """
            Works on the hub's database, with the hub's own configuration. Prints what the new one needs: for a node the \
            configuration file of its agent, for a person the connection file of the command line. The password is shown \
            now and never again; enrolling again makes a new one.
            """)

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case node, person
    }

    @Argument(help: "node or person.") var kind: Kind
    @Argument(help: "Its id.") var id: String
    @Option(help: ArgumentHelp("The hub's configuration file.", valueName: "file")) var config: String?

    func run() async throws {
        guard let id = Identifier(id) else { throw ValidationError("'\(id)' is no id: \(Identifier.rule)") }
        let configuration = try await HubCommand.configuration(file: config, options: [])
        let database = try Connection(configuration.database)
        try database.run(script: configuration.schema)
        let password = Credential.makePassword()
        let user: BrokerUser = kind == .node ? .node(id) : .person(id)
        try BrokerAccess.enroll(user, password: password, in: database)
        if let files = configuration.accessFiles {
            try BrokerAccess.writeFiles(
                files, hub: configuration.hub, devices: configuration.devices, from: database)
        }
        let address = configuration.advertised.first { !$0.isOfOneMachine } ?? configuration.advertised.first
        let broker = "\(address ?? configuration.broker)"
        let hub = JSON.string(configuration.hub.text)
        let document: JSON =
            switch kind {
            case .node:
                [
                    "hub": ["id": hub], "node": ["id": .string(id.text)],
                    "broker": ["address": .string(broker), "password": .string(password)],
                ]
            case .person:
                [
                    "hub": hub, "broker": .string(broker), "user": .string(user.description),
                    "password": .string(password),
                ]
            }
        print(document.text(indented: true))
        note(
            kind == .node
                ? "as a file of that machine that only its owner can read, for: sensorhub agent --config FILE"
                : "as connection.json in a folder that only its owner can read, for: sensorhub ps --data FOLDER")
        if (address ?? configuration.broker).isOfOneMachine {
            note(
                "it can be used on this machine alone: \(broker) is the only address of the broker that the hub knows; "
                    + "for other machines have the broker listen on the network (with sensorhub up by --listen, else "
                    + "broker.advertised says where it does)")
        }
    }
}
