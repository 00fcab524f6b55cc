import CStorageShims
public import ReplModel

/// Sums block hashes of bytes in memory: design section 6, F = Σ H(i) over 4 KiB blocks.
///
/// A value; any thread may use it. Holds the key, so it is never logged.
public struct FingerprintWalk: Sendable {
  public let key: FingerprintKey

  public init(key: FingerprintKey) { self.key = key }

  /// The sum of the blocks in `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: what the volume holds from `offset` on; a last partial block counts as padded with zeros.
  ///   - offset: position in the volume, a multiple of 4096.
  public func sum(of bytes: UnsafeRawBufferPointer, at offset: UInt64) -> BlockSum {
    precondition(offset % blockSize == 0, "fingerprints begin at block boundaries")
    let grain = Int(blockSize)
    let whole = bytes.count / grain
    let index = offset / blockSize
    var total = css_hash128()
    var nonZero: UInt64 = 0
    key.bytes.withUnsafeBytes { secret in
      guard let secret = secret.baseAddress, let start = bytes.baseAddress else { return }
      css_fingerprint_blocks(start, whole, index, secret, &total, &nonZero)
      let rest = bytes[(whole * grain)...]
      guard !rest.isEmpty else { return }
      withUnsafeTemporaryAllocation(byteCount: grain, alignment: 64) { block in
        guard let padded = block.baseAddress else { return }
        block.copyBytes(from: rest)
        UnsafeMutableRawBufferPointer(rebasing: block[rest.count...]).initializeMemory(as: UInt8.self, repeating: 0)
        css_fingerprint_blocks(padded, 1, index + UInt64(whole), secret, &total, &nonZero)
      }
    }
    return BlockSum(fingerprint: Fingerprint(low: total.low, high: total.high), nonZeroBlocks: nonZero)
  }
}
