import HubModel
import MQTT
import Testing

@testable import Embedded

private func banner(data: DataDirectory, file: String?) -> [String] {
    let access = Stack.Access(
        brokers: ["127.0.0.1:21883", "192.168.1.5:1883"],
        psql: #"psql "host=/data/run dbname=sensorhub user=sensorhub_report""#, data: data, hub: Identifier("main")!,
        local: TCPAddress("127.0.0.1:21883")!, socket: try! UnixSocket(path: "/data of max/mqtt/mqtt.sock"),
        user: .person(Identifier("owner")!), password: "secret")
    return Banner(access, version: "1.2.3", command: "sensorhub", configurationFile: file).lines
}

@Test func theBannerHasEveryAddressAndCommand() {
    #expect(
        banner(data: DataDirectory("/data of max"), file: nil) == [
            "sensorhub 1.2.3 is up; Ctrl-C stops it",
            "  broker    mqtt://127.0.0.1:21883",
            "            mqtt://192.168.1.5:1883",
            "            unix:///data of max/mqtt/mqtt.sock",
            #"  database  psql "host=/data/run dbname=sensorhub user=sensorhub_report""#,
            "  data      /data of max",
            "  logs      /data of max/log",
            "  settings  no configuration file found, using defaults",
            "  commands  sensorhub ps --data '/data of max'",
            "            sensorhub --help",
        ])
}

@Test func theStandardFolderNeedsNoOption() {
    let lines = banner(data: .standard(), file: "/etc/sensorhub/sensorhub.json")
    #expect(lines.contains("  commands  sensorhub ps"))
    #expect(lines.contains("  settings  /etc/sensorhub/sensorhub.json"))
    #expect(!lines.joined().contains("secret"))
}
