import CStorageShims
public import ReplModel

/// A fingerprint together with the count of blocks that made it: of a segment, of a volume, or of a change (then the
/// count wraps around below zero).
public struct BlockSum: Hashable, Sendable {
  public var fingerprint: Fingerprint
  /// 4 KiB blocks that hold anything but zeros.
  public var nonZeroBlocks: UInt64

  public init(fingerprint: Fingerprint = .zero, nonZeroBlocks: UInt64 = 0) {
    self.fingerprint = fingerprint
    self.nonZeroBlocks = nonZeroBlocks
  }

  /// The sum of zeros.
  public static let zero = BlockSum()

  public static func + (left: Self, right: Self) -> Self {
    Self(fingerprint: left.fingerprint + right.fingerprint, nonZeroBlocks: left.nonZeroBlocks &+ right.nonZeroBlocks)
  }

  public static func - (left: Self, right: Self) -> Self {
    Self(fingerprint: left.fingerprint - right.fingerprint, nonZeroBlocks: left.nonZeroBlocks &- right.nonZeroBlocks)
  }

  public static func += (left: inout Self, right: Self) { left = left + right }
  public static func -= (left: inout Self, right: Self) { left = left - right }
}

extension Seal {
  /// Fingerprint and count of blocks as one value.
  public var sum: BlockSum { BlockSum(fingerprint: fingerprint, nonZeroBlocks: nonZeroBlocks) }
}

extension FingerprintKey {
  /// Names the key without giving it away: the low word of XXH3-128 of its bytes.
  public var id: UInt64 { checksum(of: bytes) }
}

extension Fingerprint {
  /// Binds a ledger to what is described by `bytes`.
  init(binding bytes: [UInt8]) { self.init(low: checksum(of: bytes), high: checksum(of: Array(bytes.reversed()))) }
}

/// The checksum of everything the agent writes for itself: the low word of XXH3-128.
public func checksum(of bytes: [UInt8]) -> UInt64 {
  bytes.withUnsafeBytes { checksum(of: $0) }
}

/// The checksum of everything the agent writes for itself: the low word of XXH3-128.
public func checksum(of bytes: UnsafeRawBufferPointer) -> UInt64 {
  // The C function wants an address even for nothing.
  guard let start = bytes.baseAddress else { return withUnsafeBytes(of: UInt8(0)) { hashLow($0.baseAddress, 0) } }
  return hashLow(start, bytes.count)
}

private func hashLow(_ start: UnsafeRawPointer?, _ count: Int) -> UInt64 {
  guard let start else { return 0 }
  return css_xxh3_128(start, count).low
}
