import Glibc
import ReplModel

/// Small reads of /proc and /sys; nil and empty where the thing has gone.
enum SystemFile {
  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func list(_ path: String) -> [String] { (try? LinuxStorage().list(path)) ?? [] }

  /// What a symbolic link says; nil, with errno, where that cannot be read.
  static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { return nil }
    return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The first line, without its end.
  static func line(_ path: String) -> String? {
    guard let text = try? text(path) else { return nil }
    return text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init)
  }

  /// All of it; at most 16 MiB, which no such file reaches in health.
  static func text(_ path: String) throws(ReplError) -> String {
    let file = try LinuxStorage().openFile(path, .read)
    var bytes: [UInt8] = []
    var page = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count < 16 << 20 {
      let count = try checkedErrno(.init("read", path)) { Glibc.read(file.descriptor, &page, page.count) }
      if count == 0 { break }
      bytes.append(contentsOf: page.prefix(count))
    }
    try file.close()
    return String(decoding: bytes, as: UTF8.self)
  }
}
