import Glibc

/// Page-aligned memory that is taken once and used again and again. One owner at a time.
public final class AlignedBuffer {
  /// Bytes.
  public let count: Int
  private let start: UnsafeMutableRawPointer

  /// Takes `count` bytes, zeroed; `count` must be positive.
  public init(count: Int) {
    precondition(count > 0)
    self.count = count
    start = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 4096)
    memset(start, 0, count)
  }

  deinit { start.deallocate() }

  /// All of the memory; not to be used after the buffer is gone.
  public var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: start, count: count) }

  /// The first `count` bytes.
  public func prefix(_ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(count))
  }
}
