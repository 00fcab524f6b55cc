import Glibc

/// Bytes that say where they belong: any eight of them at a multiple of eight give the tag and the offset, so that a
/// misplaced or stale block is seen for what it is.
public enum BytePattern {
  /// `count` bytes as they stand at `offset` of the pattern `tag`.
  public static func bytes(tag: UInt64, offset: UInt64 = 0, count: Int) -> [UInt8] {
    let skipped = Int(offset % 8)
    let words = (count + skipped + 7) / 8
    let bytes = [UInt8](unsafeUninitializedCapacity: words * 8) { buffer, filled in
      // Written as words and without iterators: tests are built without optimisation.
      var index = 0
      while index < words {
        let word = mixed(tag, offset / 8 + UInt64(index)).littleEndian
        UnsafeMutableRawBufferPointer(buffer).storeBytes(of: word, toByteOffset: index * 8, as: UInt64.self)
        index += 1
      }
      filled = words * 8
    }
    return skipped == 0 && count == words * 8 ? bytes : Array(bytes[skipped..<skipped + count])
  }

  /// Whether two ranges of bytes are equal; fast without optimisation too.
  public static func areEqual(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    return left.withUnsafeBytes { left in
      right.withUnsafeBytes { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return left.count == right.count }
        return memcmp(first, second, left.count) == 0
      }
    }
  }

  /// Whether all bytes are zero; fast without optimisation too.
  public static func isZero(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.isEmpty || bytes.first == 0 && areEqual(bytes.dropLast(), bytes.dropFirst())
  }

  /// Random bytes of which no 4 KiB block is all zero.
  public static func random(count: Int, using generator: inout SeededGenerator) -> [UInt8] {
    bytes(tag: generator.next(), count: count)
  }

  private static func mixed(_ tag: UInt64, _ word: UInt64) -> UInt64 {
    var value = (tag &+ 1) &* 0x9e37_79b9_7f4a_7c15 ^ (word &* 0xff51_afd7_ed55_8ccd)
    value ^= value >> 29
    value = value &* 0xbf58_476d_1ce4_e5b9
    return value ^ (value >> 32) | 1
  }
}
