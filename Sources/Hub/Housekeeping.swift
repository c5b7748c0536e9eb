import Postgres
import SimdJSON

extension HubCore {
    /// What is to be done from time to time: partitions ahead, expired readings, statistics and events, programs
    /// that are gone.
    func keepHouse() throws {
        try makePartitions()
        try keepStatistics()
        try keepEvents()
        try forgetCommands()
        try forgetPrograms()
        try forgetRequests()
        let removed = try removeExpired()
        if !removed.isEmpty { try record("readings.expired", "", ["partitions": .array(removed)]) }
    }

    /// Rolls up some of the hours that are due; true if there may be more.
    func rollUp() throws -> Bool {
        try database.query("SELECT hub.roll_up(8) AS done")[0].int("done") == 8
    }

    /// Drops the partitions whose readings are older than their types keep them; returns their names.
    func removeExpired() throws -> [JSON] {
        try database.query("SELECT hub.remove_expired() AS name").map { .string($0.text("name")) }
    }

    /// Removes events whose time is over, and incidents that have been over for as long.
    func keepEvents() throws(PostgresError) {
        for (table, time) in [("hub.event", "at"), ("hub.incident", "closed_at")] {
            try database.query(
                "DELETE FROM \(table) WHERE \(time) < now() - make_interval(days => $1::integer)",
                .int(configuration.eventDays))
        }
    }
}
