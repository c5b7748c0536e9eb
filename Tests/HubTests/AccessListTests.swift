import HubModel
import Testing

@testable import Hub

@Suite struct AccessListTests {
    private func id(_ text: String) -> Identifier { Identifier(text)! }

    @Test func eachUserHasItsOwnBlock() {
        let list = AccessList(
            hub: id("main"), users: [.algorithm(id("a-1")), .hub(id("main")), .node(id("pi")), .sensor(id("lux"))],
            grants: [
                .algorithm(id("a-1"), app: id("bus"), sensor: id("lux")),
                .writing(id("a-1"), sensor: id("comfort"), isControlled: false),
                .writing(id("a-1"), sensor: id("blind"), isControlled: true),
                .algorithm(id("gone"), app: id("bus"), sensor: id("lux")),
                .writing(id("gone"), sensor: id("comfort"), isControlled: true),
                .output(ProgramID(.algorithm, id("a-1")), node: id("pi")),
                .output(ProgramID(.driver, id("lux")), node: id("pi")),
            ])
        #expect(
            list.text == """
                # Written by the hub: changes here are lost.
                pattern write sensorhub/main/sensors/%u/data
                pattern write sensorhub/main/sensors/%u/status
                pattern write sensorhub/main/sensors/%u/control/reply
                pattern read sensorhub/main/sensors/%u/control
                pattern read sensorhub/main/sensors/%u/committed
                pattern read sensorhub/main/clients/%u/#
                pattern read sensorhub/main/status

                user algorithm.a-1
                topic read sensorhub/main/algorithms/a-1/binding
                topic write sensorhub/main/apps/bus/page
                topic read sensorhub/main/sensors/lux/data
                topic read sensorhub/main/sensors/lux/status
                topic read sensorhub/main/sensors/lux/control/reply
                topic write sensorhub/main/sensors/lux/control
                topic write sensorhub/main/sensors/comfort/data
                topic read sensorhub/main/sensors/comfort/committed
                topic write sensorhub/main/sensors/blind/data
                topic read sensorhub/main/sensors/blind/committed
                topic read sensorhub/main/sensors/blind/control
                topic write sensorhub/main/sensors/blind/control/reply

                user hub.main
                topic readwrite sensorhub/main/#
                topic read $SYS/#
                topic read thing/+/app_manager/install_app
                topic read thing/+/app_manager/install_app/+
                topic read thing/+/app_manager/start_app
                topic read thing/+/app_manager/stop_app
                topic read thing/+/app_manager/delete_app
                topic read thing/+/app_manager/apps
                topic read thing/+/app_manager/apps/running
                topic read thing/+/app_manager/apps.running
                topic read thing/+/app_manager/is_alive
                topic read thing/+/app_manager/fast_deploy
                topic read thing/+/app_manager/fast_deploy/+
                topic read thing/+/app_manager/app_page
                topic write thing/+/app_manager/disconnected
                topic write +

                user node.pi
                topic write sensorhub/main/nodes/pi/status
                topic write sensorhub/main/nodes/pi/report
                topic write sensorhub/main/nodes/pi/statistics
                topic read sensorhub/main/nodes/pi/command
                topic read sensorhub/main/nodes/pi/archive/+
                topic write thing/pi/app_manager/heartbeat
                topic write thing/pi/app_manager/connected
                topic write thing/pi/app_manager/app/+/started
                topic write thing/pi/app_manager/app/+/stopped
                topic write thing/pi/app_manager/app/+/logs
                topic write thing/pi/app_manager/app/+/stats
                topic write sensorhub/main/algorithms/a-1/log
                topic write sensorhub/main/algorithms/a-1/events
                topic write sensorhub/main/sensors/lux/log
                topic write sensorhub/main/sensors/lux/events

                """)
    }

    @Test func commandsBelongToTheirNodeAndToWhoeverHasThemRun() {
        let list = AccessList(
            hub: id("main"), users: [.algorithm(id("a-1")), .algorithm(id("a-2")), .node(id("pi"))],
            grants: [
                .commanding(id("a-1")), .output(ProgramID(.command, id("ls-1")), node: id("pi")),
                .command(id("ls-1"), of: id("a-1")),
            ])
        let commands = list.text.split(separator: "\n").filter { $0.contains("rpc") || $0.contains("commands") }
        #expect(
            commands == [
                "topic write sensorhub/main/algorithms/a-1/rpc/+/+", "topic read sensorhub/main/commands/ls-1/log",
                "topic read sensorhub/main/commands/ls-1/events", "topic write sensorhub/main/commands/ls-1/log",
                "topic write sensorhub/main/commands/ls-1/events",
            ])
    }

    @Test func peopleAskDevicesAndHearThem() {
        let text = AccessList(hub: id("main"), users: [.person(id("owner"))], grants: []).text
        for line in [
            "topic write thing/+/app_manager/start_app", "topic write thing/+/app_manager/install_app/+",
            "topic read thing/+/app_manager/app/+/logs", "topic read thing/+/app_manager/disconnected", "topic read +",
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
        #expect(!text.contains("topic read thing/+/app_manager/install_app"), "others' archives are not theirs")
    }
}
