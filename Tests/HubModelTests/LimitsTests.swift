import HubModel
import SimdJSON
import Testing

@Suite struct LimitsTests {
    private func limits(_ text: String) throws -> Limits {
        try Limits(DocumentReader(try JSON(parsing: text), path: "limits"))
    }

    @Test func eachIsOptional() throws {
        #expect(try limits("{}") == .none)
        #expect(
            try limits(#"{"memory": "64M", "cpu": 50, "processes": 20, "files": 256}"#)
                == Limits(memory: 64 << 20, cpuPercent: 50, processes: 20, files: 256))
        #expect(try limits(#"{"memory": 1048576}"#).memory == 1 << 20)
        #expect(try limits(#"{"memory": null, "cpu": 1}"#) == Limits(cpuPercent: 1))
    }

    @Test func whatIsStoredIsReadBack() throws {
        for limits in [Limits.none, Limits(memory: 5 << 30, cpuPercent: 250, processes: 1, files: 16)] {
            #expect(try Limits(DocumentReader(JSON(parsing: limits.json.text()))) == limits)
        }
    }

    @Test func amountsOfMemoryHaveUnits() {
        #expect(Limits.bytes("2048") == 2_048)
        #expect(Limits.bytes("512k") == 512 << 10)
        #expect(Limits.bytes("64M") == 64 << 20)
        #expect(Limits.bytes("1G") == 1 << 30)
        #expect(Limits.bytes("2T") == 2 << 40)
        for text in ["", "M", "-1M", "1.5G", "1MB", "64 M", "0x10", "9223372036854775807K", "99999999999999999999"] {
            #expect(Limits.bytes(text) == nil, "\(text)")
        }
    }

    @Test func whatADeploymentDoesNotSayIsTheNodes() {
        let node = Limits(memory: 1 << 30, processes: 100)
        #expect(Limits(memory: 64 << 20).filled(from: node) == Limits(memory: 64 << 20, processes: 100))
    }

    @Test(arguments: [
        (#"{"memory": "64X"}"#, "limits.memory: '64X' is no amount of memory: bytes, or as 512K, 64M, 1G"),
        (#"{"memory": "9K"}"#, "limits.memory: must be from 1M to 1024T, is 9216 bytes"),
        (#"{"memory": true}"#, "limits.memory: expected a whole number, found true or false"),
        (#"{"cpu": 0}"#, "limits.cpu: must be from 1 to 100000, is 0"),
        (#"{"cpu": 12.5}"#, "limits.cpu: expected a whole number, found a number"),
        (#"{"processes": -1}"#, "limits.processes: must be from 1 to 4000000, is -1"),
        (#"{"files": 3}"#, "limits.files: must be from 16 to 1000000, is 3"),
        (#"{"memroy": "64M"}"#, "limits: unknown key 'memroy' (did you mean 'memory'?)"),
        (#"["64M"]"#, "limits: expected an object, found a list"),
    ])
    func whatIsWrongIsNamed(document: String, error: String) throws {
        #expect {
            try limits(document)
        } throws: {
            "\($0)" == error
        }
    }
}
