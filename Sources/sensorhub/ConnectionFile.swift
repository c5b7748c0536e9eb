import Embedded
import Files
import HubModel
import MQTT
import SimdJSON

/// How to reach a running hub, as `sensorhub up` and `sensorhub enroll` write it for its owner's eyes only.
struct ConnectionFile {
    let path: String
    let hub: Identifier
    let broker: BrokerAddress
    let user: BrokerUser
    let password: String
    /// The hub's database, where the person may use it directly.
    let database: String?

    var topics: Topics { Topics(hub: hub) }

    /// Reads the file of the hub under `data`.
    ///
    /// - Throws: `CommandError` that says how to start a hub, or what is wrong with the file.
    init(data: DataDirectory) throws {
        path = data.connectionFile
        let content: [UInt8]
        do {
            content = try File.bytes(of: path)
        } catch {
            throw CommandError(
                error.isNotFound
                    ? "no hub is running under \(data.path): start one with 'sensorhub up', or name another folder with --data"
                    : "\(error)")
        }
        do {
            let reader = DocumentReader(try JSON(parsing: content))
            hub = try reader.required("hub").identifier()
            let address = try reader.required("broker")
            let text = try address.string()
            do throws(InvalidAddress) {
                broker = try BrokerAddress(text)
            } catch {
                throw address.error("\(error)")
            }
            let name = try reader.required("user")
            guard let user = BrokerUser(try name.string()) else { throw name.error("is no user of a hub") }
            self.user = user
            password = try reader.required("password").string()
            database = try reader.optional("database")?.string()
        } catch {
            throw CommandError("\(path): \(error)")
        }
    }
}
