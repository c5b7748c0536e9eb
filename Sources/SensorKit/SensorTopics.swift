/// The topics of one sensor.
struct SensorTopics {
    let sensor: Identifier
    let data: String
    let status: String
    let committed: String
    let control: String
    let reply: String

    init(hub: Identifier, sensor: Identifier) {
        let topics = Topics(hub: hub)
        self.sensor = sensor
        data = topics.sensor(sensor.text, .data)
        status = topics.sensor(sensor.text, .status)
        committed = topics.sensor(sensor.text, .committed)
        control = topics.sensor(sensor.text, .control)
        reply = topics.sensor(sensor.text, .reply)
    }
}
