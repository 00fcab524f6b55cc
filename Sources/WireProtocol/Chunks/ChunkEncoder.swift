import CStorageShims
public import ReplModel

/// A chunk ready to send: the head, then the payload. The payload points into the encoder's or the caller's buffer and is
/// valid until either is used again.
public struct EncodedChunk {
  public var header: ChunkHeader
  public var payload: UnsafeRawBufferPointer
  /// Whether LZ4 ran, whatever came of it.
  public var tried: Bool
}

/// Makes chunks out of raw bytes: digest, LZ4 where asked for and where it helps. One per sending thread; takes no memory
/// per chunk.
public final class ChunkEncoder {
  private let compressed: UnsafeMutableRawBufferPointer
  /// Bytes of the sample that tells incompressible data early.
  static let sampleLength = 8192

  /// - Parameter maxChunk: negotiated largest chunk in bytes.
  public init(maxChunk: UInt32) {
    compressed = .allocate(byteCount: max(Int(maxChunk), Self.sampleLength), alignment: Int(blockSize))
  }

  deinit { compressed.deallocate() }

  /// Makes a chunk of `raw`, which holds the bytes of the volume from `offset` on: 1 to `maxChunk` bytes.
  ///
  /// - Parameters:
  ///   - digest: ``chunkDigest(_:)`` of the bytes, from a caller that measures the time of compression alone.
  ///   - compress: whether to try LZ4; the chunk goes raw anyway when less than 1/16 would be saved.
  public func encode(
    _ raw: UnsafeRawBufferPointer, at offset: UInt64, digest: Fingerprint? = nil, compress: Bool
  ) -> EncodedChunk {
    let digest = digest ?? chunkDigest(raw)
    var payload = raw
    var codec = ChunkCodec.raw
    if compress, sampleIsCompressible(raw), let shorter = compressedBytes(of: raw) {
      (payload, codec) = (shorter, .lz4)
    }
    let header = ChunkHeader(
      offset: offset, rawLength: UInt32(truncatingIfNeeded: raw.count),
      payloadLength: UInt32(truncatingIfNeeded: payload.count), codec: codec, digest: digest)
    return EncodedChunk(header: header, payload: payload, tried: compress)
  }

  /// LZ4 of all bytes, or nil when it would save less than 1/16.
  private func compressedBytes(of raw: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard let source = raw.baseAddress, let target = compressed.baseAddress else { return nil }
    let capacity = min(compressed.count, raw.count - raw.count / 16)
    let count = css_lz4_compress(source, raw.count, target, capacity, 1)
    return count > 0 ? UnsafeRawBufferPointer(start: target, count: count) : nil
  }

  /// Compresses a few KiB from the middle: a chunk whose sample does not shrink is not worth the whole.
  private func sampleIsCompressible(_ raw: UnsafeRawBufferPointer) -> Bool {
    guard raw.count >= 4 * Self.sampleLength else { return true }
    let start = (raw.count / 2) & ~(Int(blockSize) - 1)
    let sample = UnsafeRawBufferPointer(rebasing: raw[start..<start + Self.sampleLength])
    return compressedBytes(of: sample) != nil
  }
}

/// The digest a chunk carries: XXH3-128 of its raw bytes.
public func chunkDigest(_ raw: UnsafeRawBufferPointer) -> Fingerprint {
  guard let start = raw.baseAddress else { return .zero }
  let hash = css_xxh3_128(start, raw.count)
  return Fingerprint(low: hash.low, high: hash.high)
}
