import Credentials
import Files
import HubModel

/// The password of a program's broker user, and the hash by which the hub knows it.
struct HeldCredential: Sendable {
    let password: String
    let hash: String

    init(password: String) {
        self.password = password
        hash = Credential.hash(password)
    }

    /// True where `planned`, what the plan says the broker knows, was made from our password.
    func fits(_ planned: String?) -> Bool {
        guard let planned else { return false }
        // A hash with other costs than ours is none of ours, and might cost a minute to compare.
        return planned == hash || (Credential.isHash(planned) && Credential.matches(password, planned))
    }
}

/// The programs' passwords, one file each. They never leave the machine.
struct Secrets: Sendable {
    let folder: String

    /// The program's password, made at the first call.
    func credential(of program: ProgramID) throws -> HeldCredential {
        let path = "\(folder)/\(program)"
        if let bytes = try? File.bytes(of: path, limit: 256) {
            let text = String(decoding: bytes, as: UTF8.self)
            if text.utf8.count == 32, Identifier(text) != nil { return HeldCredential(password: text) }
        }
        let credential = HeldCredential(password: Credential.makePassword())
        try File.replace(path, with: credential.password.utf8, isDurable: true)
        return credential
    }

    func remove(_ program: ProgramID) {
        try? Folder.remove("\(folder)/\(program)")
    }
}
