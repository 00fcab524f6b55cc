import CStorageShims
import Glibc
public import ReplModel

/// Finds the blocks that really differ.
public enum BlockTrim {
  /// Appends to `runs` the runs of 4 KiB blocks in which `new` differs from `base`; `offset` is the volume offset of
  /// both, at a block boundary. Bytes that `base` does not have count as zeros. The last block may be cut short.
  public static func differingRuns(
    new: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer, at offset: UInt64, into runs: inout [Extent]
  ) {
    var start: Int?
    var position = 0
    while position < new.count {
      let end = min(position + Int(blockSize), new.count)
      if isEqual(new, base, position, end) {
        if let first = start { runs.append(run(first, position, offset)) }
        start = nil
      } else if start == nil {
        start = position
      }
      position = end
    }
    if let first = start { runs.append(run(first, new.count, offset)) }
  }

  /// Whether the block that begins at `position` in `bytes` is all zero; the last one may be cut short.
  public static func isZeroBlock(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    isZero(bytes, position, min(position + Int(blockSize), bytes.count))
  }

  private static func run(_ start: Int, _ end: Int, _ offset: UInt64) -> Extent {
    Extent(from: offset + UInt64(start), to: offset + UInt64(end))
  }

  private static func isEqual(
    _ new: UnsafeRawBufferPointer, _ base: UnsafeRawBufferPointer, _ start: Int, _ end: Int
  ) -> Bool {
    let common = max(start, min(end, base.count))
    guard common > start else { return isZero(new, start, end) }
    guard let left = new.baseAddress, let right = base.baseAddress else { return false }
    return memcmp(left + start, right + start, common - start) == 0 && isZero(new, common, end)
  }

  private static func isZero(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
    guard let first = bytes.baseAddress, start < end else { return true }
    return css_is_zero(first + start, end - start)
  }
}
