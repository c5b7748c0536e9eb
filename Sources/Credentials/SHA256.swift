import CCrypto
import HubModel

/// SHA-256 in hexadecimal.
public func sha256(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    precondition(sh_sha256(bytes, bytes.count, &digest) == 0, "libcrypto has no SHA-256")
    return Hexadecimal.encode(digest)
}
