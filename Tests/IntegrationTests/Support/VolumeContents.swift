import Glibc
import TestSupport

extension SeededGenerator {
  /// Bytes that do not compress.
  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (count + 7) & ~7)
    bytes.withUnsafeMutableBytes { buffer in
      for offset in stride(from: 0, to: buffer.count, by: 8) {
        buffer.storeBytes(of: next(), toByteOffset: offset, as: UInt64.self)
      }
    }
    return Array(bytes.prefix(count))
  }
}

extension Volume {
  /// Writes incompressible bytes of a seed at an offset of the live file, and syncs it.
  func fill(seed: UInt64, at offset: Int = 0, count: Int) throws {
    var random = SeededGenerator(seed: seed)
    let file = try OpenFile(path, O_WRONLY)
    var position = 0
    while position < count {
      let piece = min(count - position, .mebibyte)
      try file.write(random.bytes(piece), at: offset + position)
      position += piece
    }
    try file.sync()
  }
}
