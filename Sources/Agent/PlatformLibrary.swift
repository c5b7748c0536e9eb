import Credentials
import Files
import Glibc
import HubModel

/// The platform library for Python as it is on disk: the files that a package of it is made of.
struct PlatformLibrary: Sendable {
    /// Paths below the library's folder, with their contents.
    private let files: [(path: String, content: [UInt8])]
    /// Another one where any of the files differs.
    let digest: String

    private static let maximumFiles = 2_000
    /// What pip, Python and editors leave there, and the tests, which are not part of the package.
    private static let ignoredFolders: Set = ["__pycache__", "build", "dist", "tests"]

    /// Reads the library. Blocks.
    init(folder: String) throws(PreparationError) {
        guard access("\(folder)/pyproject.toml", R_OK) == 0 else {
            throw PreparationError("the platform library for Python is not in '\(folder)': no pyproject.toml there")
        }
        var paths: [String] = []
        do {
            try Self.collect(folder, "", into: &paths)
            var files: [(path: String, content: [UInt8])] = []
            var summary = ""
            for path in paths {
                let content = try File.bytes(of: "\(folder)/\(path)")
                files.append((path, content))
                summary += "\(sha256(content)) \(path)\n"
            }
            self.files = files
            digest = sha256(Array(summary.utf8))
        } catch {
            throw PreparationError("the platform library for Python in '\(folder)' cannot be read: \(error)")
        }
    }

    private static func collect(_ root: String, _ prefix: String, into paths: inout [String]) throws {
        for name in try Folder.names(in: "\(root)/\(prefix)")
        where !name.hasPrefix(".") && !name.hasSuffix(".egg-info") && !ignoredFolders.contains(name) {
            var status = stat()
            guard lstat("\(root)/\(prefix)\(name)", &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try collect(root, "\(prefix)\(name)/", into: &paths)
            case S_IFREG: paths.append("\(prefix)\(name)")
            default: break
            }
            guard paths.count <= maximumFiles else {
                throw PreparationError("it has more than \(maximumFiles) files")
            }
        }
    }

    /// Writes a copy, as pip builds in the folder that it is given. Blocks.
    func copy(to folder: String) throws(PreparationError) {
        do {
            for (path, content) in files {
                let file = "\(folder)/\(path)"
                try Folder.make(String(file[..<file.lastIndex(of: "/")!]))
                try File.replace(file, with: content)
            }
        } catch {
            throw PreparationError("the platform library for Python cannot be copied to \(folder): \(error)")
        }
    }
}
