import CCrypto
import HubModel

/// Passwords of the broker's users, and the hashes that stand in its password file.
public enum Credential {
    /// mosquitto's own default. A password of 160 random bits gains nothing from more.
    static let iterations: UInt32 = 101

    /// A new password: 160 random bits as 32 letters and digits.
    public static func makePassword() -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
        return String(decoding: randomBytes(32).map { alphabet[Int($0 & 31)] }, as: UTF8.self)
    }

    /// The hash of `password` with a fresh salt, as mosquitto's password file has it: `$7$iterations$salt$hash`, PBKDF2
    /// with HMAC-SHA-512 (mosquitto, src/password_mosq.c).
    public static func hash(_ password: String) -> String {
        hash(password, salt: randomBytes(12), iterations: iterations)
    }

    /// True where `hash` was made from `password`.
    public static func matches(_ password: String, _ hash: String) -> Bool {
        guard let parts = parts(of: hash) else { return false }
        return self.hash(password, salt: parts.salt, iterations: parts.iterations) == hash
    }

    /// True where `text` has the form of such a hash, and costs the broker no more than our own.
    public static func isHash(_ text: String) -> Bool {
        parts(of: text).map { $0.iterations == iterations } ?? false
    }

    private static func parts(of hash: String) -> (salt: [UInt8], iterations: UInt32)? {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "7", let iterations = UInt32(parts[2]),
            (1...1_000_000).contains(iterations), let salt = Base64.decode(parts[3].utf8), salt.count <= 64,
            Base64.decode(parts[4].utf8)?.count == 64
        else { return nil }
        return (salt, iterations)
    }

    private static func hash(_ password: String, salt: [UInt8], iterations: UInt32) -> String {
        let password = Array(password.utf8)
        var out = [UInt8](repeating: 0, count: 64)
        let code = sh_pbkdf2_sha512(password, password.count, salt, salt.count, iterations, &out, out.count)
        precondition(code == 0, "libcrypto has no SHA-512")
        return "$7$\(iterations)$\(Base64.encode(salt))$\(Base64.encode(out))"
    }
}
