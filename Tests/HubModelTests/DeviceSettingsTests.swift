import SimdJSON
import Testing

@testable import HubModel

private func settings(_ json: JSON) throws -> DeviceSettings { try DeviceSettings(DocumentReader(json)) }

@Test func theTopicsThatUsersKnow() {
    let standard = DeviceSettings.standard
    let request = standard.request("thing/pi/app_manager/install_app")
    #expect(request?.service == .installApp && request?.device == "pi" && request?.app == nil)
    #expect(standard.request("thing/pi/app_manager/install_app/my-app")?.app == "my-app")
    for topic in ["thing/pi/app_manager/apps/running", "thing/pi/app_manager/apps.running"] {
        #expect(standard.request(topic)?.service == .runningApps)
    }
    #expect(standard.request("thing/pi/app_manager/apps")?.service == .apps)
    for topic in [
        "thing/pi/app_manager/start_app/x", "thing/pi/app_manager", "thing/pi/x/app_manager/apps",
        "thing/pi/app_manager/heartbeat", "", "/", "thing/pi/app_manager/install_app/a/b",
    ] {
        #expect(standard.request(topic) == nil)
    }
    #expect(
        standard.reports[.appLogs]?.filled(["DEVICE_ID": "pi", "APP_ID": "a"]) == "thing/pi/app_manager/app/a/logs")
    #expect(standard.reports[.appLogs]?.filter(["DEVICE_ID": "pi"]) == "thing/pi/app_manager/app/+/logs")
    #expect(standard.requestFilters.contains("thing/+/app_manager/install_app/+"))
    #expect(standard.heartbeatSeconds == 10)
}

@Test func topicsOfOnesOwn() throws {
    let settings = try settings([
        "topics": [
            "namespace": "house/{DEVICE_ID}", "start_app": ["go/{DEVICE_ID}", "run/{DEVICE_ID}/now"],
            "app_logs": "logs/{APP_ID}/of/{DEVICE_ID}",
        ], "publish": ["stats": false],
    ])
    #expect(settings.request("house/pi/is_alive")?.service == .isAlive)
    #expect(settings.request("run/pi/now")?.service == .startApp && settings.request("house/pi/start_app") == nil)
    #expect(settings.reports[.appLogs]?.filled(["DEVICE_ID": "pi", "APP_ID": "a"]) == "logs/a/of/pi")
    #expect(settings.reports[.heartbeat]?.text == "house/{DEVICE_ID}/heartbeat")
    #expect(settings.publishes == .init(events: true, logs: true, statistics: false))
    #expect(try DeviceSettings(DocumentReader(settings.json)) == settings)
}

private let wrong: [(JSON, String)] = [
    (["topics": ["start_app": "go"]], "topics.start_app: 'go' must have {DEVICE_ID}, each as a level of its own"),
    (["topics": ["start_app": "go/x{DEVICE_ID}"]], "topics.start_app: 'go/x{DEVICE_ID}' must have {DEVICE_ID}"),
    (["topics": ["start_app": "a/{DEVICE_ID}/{DEVICE_ID}"]], "topics.start_app: "),
    (["topics": ["start_app": "a/{DEVICE_ID}/{APP_ID}"]], "topics.start_app: "),
    (["topics": ["start_app": "a/{DEVICE_ID}/+"]], "topics.start_app: 'a/{DEVICE_ID}/+' is no topic"),
    (["topics": ["start_app": "sensorhub/{DEVICE_ID}"]], "topics.start_app: 'sensorhub/{DEVICE_ID}' must not begin"),
    (["topics": ["start_app": "$SYS/{DEVICE_ID}"]], "topics.start_app: '$SYS/{DEVICE_ID}' must not begin"),
    (["topics": ["start_app": "{DEVICE_ID}/x"]], "topics.start_app: '{DEVICE_ID}/x' must not begin"),
    (
        ["topics": ["app_logs": "logs/{DEVICE_ID}"]],
        "topics.app_logs: 'logs/{DEVICE_ID}' must have {DEVICE_ID} and {APP_ID}"
    ),
    (
        ["topics": ["start_app": "a/{DEVICE_ID}", "stop_app": "a/{DEVICE_ID}"]],
        "topics: 'a/{DEVICE_ID}' is the topic of two"
    ),
    (["topics": ["strt_app": "a"]], "topics: unknown key 'strt_app' (did you mean 'start_app'?)"),
    (["heartbeat_seconds": -1], "heartbeat_seconds: must be from 0"),
    (["announcements": [["on": "begun", "topic": "a", "payload": ""]]], "announcements[0].on: must be 'started' or"),
    (["announcements": [["on": "started", "topic": "a/{APP_NAME}", "payload": ""]]], "announcements[0].topic: "),
    (
        ["announcements": [["on": "started", "topic": "sensorhub/main/rpc/apps/delete", "payload": ""]]],
        "announcements[0].topic: "
    ),
    (["announcements": [["on": "started", "topic": "a"]]], "announcements[0]: 'payload' is missing"),
]

@Test(arguments: wrong)
func wrongDeviceSettings(json: JSON, reason: String) {
    let error = #expect(throws: ValidationError.self) { try settings(json) }
    #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
}

@Test func announcementsAreFilled() throws {
    let settings = try settings([
        "announcements": [
            ["on": "started", "topic": "say/{DEVICE_ID}-{APP_ID}", "payload": "{APP_NAME} {X} {APP_ID}"],
            ["on": "stopped", "topic": "say", "payload": ["text": ["{APP_NAME}", 1], "{APP_ID}": true]],
        ]
    ])
    let values = ["DEVICE_ID": "pi", "APP_ID": "a", "APP_NAME": #"{APP_ID} "quoted""#]
    let text = settings.announcements[0], json = settings.announcements[1]
    #expect(text.topic.filled(values) == "say/pi-a")
    #expect(text.topic.filter(["DEVICE_ID": "pi"]) == "say/+")
    #expect(String(decoding: text.payload(values), as: UTF8.self) == #"{APP_ID} "quoted" {X} a"#)
    #expect(try JSON(parsing: json.payload(values)) == ["text": [#"{APP_ID} "quoted""#, 1], "{APP_ID}": true])
}
