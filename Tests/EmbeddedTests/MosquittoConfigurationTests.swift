import Testing

@testable import Embedded

@Test func aSettingIsReplacedWhereItStands() throws {
    var configuration = MosquittoConfiguration(
        parsing: """
            # Who may connect
            listener 1883
            # the users
            password_file  /etc/mosquitto/passwords

            persistence true
            """)
    try configuration.set("password_file", to: "/data/with space/passwords")
    #expect(
        configuration.text == """
            # Who may connect
            listener 1883
            # the users
            password_file /data/with space/passwords

            persistence true

            """)
    #expect(configuration["password_file"] == ["/data/with space/passwords"])
}

@Test func settingsThatRepeatBecomeOneGroup() throws {
    var configuration = MosquittoConfiguration(parsing: "listener 1883\nuser x\nlistener 8883\n")
    #expect(configuration["listener"] == ["1883", "8883"])
    try configuration.set("listener", to: ["21883 127.0.0.1", "1884 ::1", "1885"])
    #expect(configuration.text == "listener 21883 127.0.0.1\nlistener 1884 ::1\nlistener 1885\nuser x\n")
    try configuration.set("listener", to: [])
    #expect(configuration.text == "user x\n")
}

@Test func aNewSettingIsAddedAtTheEnd() throws {
    var configuration = MosquittoConfiguration(parsing: "#pid_file /run/mosquitto.pid\n")
    #expect(configuration["pid_file"].isEmpty)
    try configuration.set("pid_file", to: "/data/pid")
    #expect(configuration.text == "#pid_file /run/mosquitto.pid\npid_file /data/pid\n")
}

@Test func oneSettingCannotBringAnother() {
    var configuration = MosquittoConfiguration(parsing: "allow_anonymous false\n")
    #expect(throws: EmbeddedError.self) {
        try configuration.set("acl_file", to: "/data\nallow_anonymous true")
    }
    #expect(configuration.text == "allow_anonymous false\n")
}

/// The file that a service install uses as it stands has what the private broker relies on.
@Test func theProjectsOwnFile() throws {
    let text = try #require(try readText(checkout + "/mosquitto.conf"))
    let configuration = MosquittoConfiguration(parsing: text)
    #expect(configuration["allow_anonymous"] == ["false"])
    #expect(configuration["per_listener_settings"] == ["false"])
    #expect(configuration["persistence"] == ["true"])
    for key in ["listener", "password_file", "acl_file", "pid_file", "persistence_location", "user", "log_dest"] {
        #expect(configuration[key].count == 1, "\(key)")
    }
}
