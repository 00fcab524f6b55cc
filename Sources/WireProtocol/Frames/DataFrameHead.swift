public import ReplModel

/// What the fixed 48 bytes of a data frame say. The payload of ``payloadLength`` bytes follows.
public struct DataFrameHead: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    /// Payload: the ticket, then a tail.
    case attach(session: SessionID)
    case attached
    /// Payload: the chunk's bytes as its codec makes them.
    case chunk(ChunkHeader)
    case zeroRun(Extent)
    case streamEnd(chunks: UInt64, zeroRuns: UInt64)
    case streamEndAcknowledged
    /// Payload: a ``CloseNotice``.
    case close
    /// An optional frame of a type this version does not know: read past its payload and forget it.
    case skip(type: UInt8)
  }

  public var content: Content
  /// Bytes that follow the head; at most the limit of the type.
  public var payloadLength: UInt32

  /// Whether this version knows nothing of what the payload says: it is read and forgotten.
  public var isPayloadSkipped: Bool {
    switch content {
    case .attached, .streamEnd, .streamEndAcknowledged, .skip: true
    case .attach, .chunk, .zeroRun, .close: false
    }
  }

  public init(content: Content, payloadLength: UInt32) {
    self.content = content
    self.payloadLength = payloadLength
  }
}

/// Bounds of one data stream: what the session's volume and the negotiation allow. Checks take no memory.
public struct StreamLimits: Hashable, Sendable {
  /// Size of the session's volume in bytes.
  public var volumeSize: UInt64
  /// Negotiated largest chunk in bytes.
  public var maxChunk: UInt32
  /// Negotiated codecs; bit n is the codec with raw value n.
  public var codecs: UInt32

  public init(volumeSize: UInt64, maxChunk: UInt32, codecs: UInt32) {
    self.volumeSize = volumeSize
    self.maxChunk = maxChunk
    self.codecs = codecs
  }

  /// Refuses a chunk that does not lie, block aligned, in one segment of the volume or is not of the agreed form.
  public func check(_ chunk: ChunkHeader) throws(WireError) {
    let raw = UInt64(chunk.rawLength)
    guard raw > 0, chunk.rawLength <= maxChunk else {
      throw outOfBounds("a chunk of \(raw) bytes, 1 to \(maxChunk) are agreed", chunk.offset)
    }
    try checkRange(offset: chunk.offset, length: raw)
    guard chunk.offset / segmentSize == (chunk.offset + raw - 1) / segmentSize else {
      throw outOfBounds("a chunk of \(raw) bytes crosses a segment boundary", chunk.offset)
    }
    guard codecs & (1 << UInt32(chunk.codec.rawValue)) != 0 else {
      throw WireError(.badPayload, "codec \(chunk.codec) at \(chunk.offset) was not agreed")
    }
  }

  /// Refuses a run of zeros that does not lie, block aligned, in the volume.
  public func check(zeroRun run: Extent) throws(WireError) {
    guard run.length > 0 else { throw outOfBounds("an empty run of zeros", run.offset) }
    try checkRange(offset: run.offset, length: run.length)
  }

  /// Refuses whatever ``check(_:)`` or ``check(zeroRun:)`` refuses; other frames have no bounds of their own.
  public func check(_ head: DataFrameHead) throws(WireError) {
    switch head.content {
    case .chunk(let chunk): try check(chunk)
    case .zeroRun(let run): try check(zeroRun: run)
    default: return
    }
  }

  private func checkRange(offset: UInt64, length: UInt64) throws(WireError) {
    guard offset % blockSize == 0 else { throw outOfBounds("an offset that is not a multiple of 4096", offset) }
    guard offset < volumeSize, length <= volumeSize - offset else {
      throw outOfBounds("\(length) bytes end beyond the volume of \(volumeSize) bytes", offset)
    }
    guard length % blockSize == 0 || offset + length == volumeSize else {
      throw outOfBounds("\(length) bytes are no whole blocks and do not end the volume", offset)
    }
  }

  private func outOfBounds(_ what: String, _ offset: UInt64) -> WireError {
    WireError(.chunkOutOfBounds, "\(what), at offset \(offset)")
  }
}
