import BlockDiff
import ReplModel
import TestSupport

extension SeededGenerator {
  /// A number below `limit`, which is positive.
  mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }

  /// True in `percent` of a hundred cases.
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

extension TemporaryDirectory {
  func file(_ name: String) -> String { path + "/" + name }
}

extension LinuxStorage {
  /// Makes a file with the bytes given.
  func make(_ path: String, _ bytes: [UInt8]) throws {
    let file = try openFile(path, .createNew)
    try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    try file.close()
  }

  /// Writes into a file that is there.
  func write(_ path: String, _ bytes: [UInt8], at offset: UInt64) throws {
    let file = try openFile(path, .readWrite)
    try bytes.withUnsafeBytes { try file.write($0, at: offset) }
    try file.close()
  }

  /// All bytes of a file.
  func bytes(_ path: String) throws -> [UInt8] { try readFile(path, limit: 1 << 30) }
}

/// Runs `xfs_io` commands on a file, several at once.
func fileCommands(_ path: String, _ commands: [String]) throws {
  try LoopFileSystem.run(["xfs_io", "-f"] + commands.flatMap { ["-c", $0] } + [path])
}
