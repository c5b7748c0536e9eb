import Testing

@testable import Embedded

@Test func aPlainConnectionStringNeedsNoQuotes() {
    let target = connectionString(["host": "/var/lib/sensorhub/run", "dbname": "sensorhub"])
    #expect(target == "host=/var/lib/sensorhub/run dbname=sensorhub")
    #expect(psqlCommand(target) == #"psql "host=/var/lib/sensorhub/run dbname=sensorhub""#)
}

@Test func pathsWithSpacesAndDollarsSurviveLibpqAndTheShell() {
    let target = connectionString(["host": "/home/max m/o'hara $x", "user": ""])
    #expect(target == #"host='/home/max m/o\'hara $x' user=''"#)
    #expect(psqlCommand(target) == #"psql "host='/home/max m/o\\'hara \$x' user=''""#)
}
