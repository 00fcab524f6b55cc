import ReplModel

/// What a byte range of a file holds, as far as its extent map tells.
enum ExtentClass: Hashable {
  /// A hole, or allocated and never written: reads as zeros.
  case zero
  /// Data at this byte address, with the flags that count.
  case data(physical: UInt64, flags: UInt32)
  /// The map does not tell where the data is: never equal to anything.
  case unknown

  /// Flags that say nothing about contents: LAST, MERGED, SHARED.
  static let ignoredFlags: UInt32 = 0x0001 | 0x1000 | 0x2000
  /// UNKNOWN, DELALLOC, ENCODED, DATA_ENCRYPTED, NOT_ALIGNED, DATA_INLINE, DATA_TAIL: the address does not stand for
  /// the contents.
  static let unknownFlags: UInt32 = 0x0002 | 0x0004 | 0x0008 | 0x0080 | 0x0100 | 0x0200 | 0x0400
  /// UNWRITTEN.
  static let unwrittenFlag: UInt32 = 0x0800

  /// What a mapped extent holds from `offset` on, which lies in it.
  init(_ extent: MappedExtent, at offset: UInt64) {
    if extent.flags & Self.unknownFlags != 0 {
      self = .unknown
    } else if extent.flags & Self.unwrittenFlag != 0 {
      self = .zero
    } else {
      self = .data(
        physical: extent.physical &+ (offset - extent.logical.offset), flags: extent.flags & ~Self.ignoredFlags)
    }
  }
}
