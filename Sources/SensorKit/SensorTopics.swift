/// The topics that one sensor's driver deals with.
struct SensorTopics {
    let sensor: Identifier
    let data: String
    let status: String
    let committed: String
    let control: String
    let reply: String
    let hubStatus: String

    init(hub: Identifier, sensor: Identifier) {
        let topics = Topics(hub: hub)
        self.sensor = sensor
        data = topics.sensor(sensor.text, .data)
        status = topics.sensor(sensor.text, .status)
        committed = topics.sensor(sensor.text, .committed)
        control = topics.sensor(sensor.text, .control)
        reply = topics.sensor(sensor.text, .reply)
        hubStatus = topics.hubStatus
    }
}
