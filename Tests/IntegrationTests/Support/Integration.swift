import Glibc
import TestSupport
import Testing

/// The suite of all suites here: real agents as processes, real loop-mounted file systems. They run one after the
/// other, because they share the machine's loop devices and two cores, and on a thread of their own, because they block.
@Suite(.serialized, .ownThread, .requiresLoopDevices)
enum Integration {}

/// What stands beside the test bundle.
enum Environment {
  /// A binary of this package, beside the test bundle or where REPL_AGENT_BINARIES says.
  static func binary(_ name: String) throws -> String {
    var directories: [String] = []
    if let chosen = getenv("REPL_AGENT_BINARIES") { directories.append(String(cString: chosen)) }
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &path, path.count)
    var directory = String(decoding: path.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    // The bundle is a file in the build directory, or on some systems three levels deeper.
    for _ in 0..<4 {
      guard let slash = directory.lastIndex(of: "/"), slash != directory.startIndex else { break }
      directory = String(directory[..<slash])
      directories.append(directory)
    }
    for candidate in directories where access("\(candidate)/\(name)", X_OK) == 0 { return "\(candidate)/\(name)" }
    throw Failure("\(name) was not found in \(directories); build it, or set REPL_AGENT_BINARIES")
  }
}

/// Why a test cannot go on.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension Int {
  static let kibibyte = 1 << 10
  static let mebibyte = 1 << 20
  static let gibibyte = 1 << 30
  static let tebibyte = 1 << 40
}
