import Glibc

/// A directory of its own for a test, removed with everything in it when the object goes.
public final class TemporaryDirectory: Sendable {
  public let path: String

  /// - Parameter parent: where to make it; a mounted loop file system for tests of the kernel's behaviour.
  public init(in parent: String = "/tmp") throws {
    var template = Array("\(parent)/repl-agent-test.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(parent: parent, code: errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { Self.remove(path) }

  public struct Failure: Error, CustomStringConvertible {
    var parent: String
    var code: Int32
    public var description: String { "cannot make a directory in \(parent): \(String(cString: strerror(code)))" }
  }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      var names: [String] = []
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
          field.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
      }
      closedir(directory)
      for name in names {
        if unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
      }
    }
    rmdir(path)
  }
}
