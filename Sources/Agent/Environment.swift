import Glibc

/// Where programs are looked up when nobody says.
let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/// Our own environment variables, those that are asked for.
func ourEnvironment(where isWanted: (String) -> Bool) -> [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
        next += 1
        let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, isWanted(String(parts[0])) { variables[String(parts[0])] = String(parts[1]) }
    }
    return variables
}
