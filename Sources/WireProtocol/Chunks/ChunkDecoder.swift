import CStorageShims
import ReplModel

/// Turns a chunk's payload back into raw bytes and proves them by the digest. Takes no memory.
public enum ChunkDecoder {
  /// Fills the first `header.rawLength` bytes of `raw`.
  ///
  /// - Parameters:
  ///   - payload: `header.payloadLength` bytes. Of a raw chunk it may be the start of `raw` itself: nothing is copied then.
  ///   - raw: room for at least `header.rawLength` bytes.
  /// - Throws: `badPayload` or `digestMismatch`; `raw` holds nothing of use then.
  public static func decode(
    _ header: ChunkHeader, payload: UnsafeRawBufferPointer, into raw: UnsafeMutableRawBufferPointer
  ) throws(WireError) {
    let length = Int(header.rawLength)
    guard payload.count == Int(header.payloadLength), length > 0, raw.count >= length,
      let source = payload.baseAddress, let target = raw.baseAddress
    else {
      throw WireError(
        .badPayload,
        "\(payload.count) bytes of payload and room for \(raw.count), expected \(header.payloadLength) "
          + "and \(length), at offset \(header.offset)")
    }
    switch header.codec {
    case .raw:
      guard payload.count == length else {
        throw WireError(.badPayload, "\(payload.count) raw bytes, expected \(length), at offset \(header.offset)")
      }
      if source != UnsafeRawPointer(target) { target.copyMemory(from: source, byteCount: length) }
    case .lz4:
      let count = css_lz4_decompress(source, payload.count, target, length)
      guard count == length else {
        throw WireError(
          .badPayload, "the payload does not decompress to \(length) bytes, at offset \(header.offset)")
      }
    }
    guard chunkDigest(UnsafeRawBufferPointer(start: target, count: length)) == header.digest else {
      throw WireError(.digestMismatch, "the bytes do not have their digest, at offset \(header.offset)")
    }
  }
}
