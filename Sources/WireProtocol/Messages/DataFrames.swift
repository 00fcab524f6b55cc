public import ReplModel

/// How a chunk's bytes travel.
public enum ChunkCodec: UInt8, Sendable, CaseIterable {
  case raw = 0
  case lz4 = 1
}

/// Fixed-size head of a chunk; the payload follows. Encoded and decoded in place, without memory of its own.
public struct ChunkHeader: Hashable, Sendable {
  /// Byte offset in the volume, a multiple of 4 KiB.
  public var offset: UInt64
  /// Bytes of raw data; a multiple of 4 KiB except at the end of the volume.
  public var rawLength: UInt32
  /// Bytes of payload that follow.
  public var payloadLength: UInt32
  public var codec: ChunkCodec
  /// XXH3-128 of the raw bytes.
  public var digest: Fingerprint
  public init(offset: UInt64, rawLength: UInt32, payloadLength: UInt32, codec: ChunkCodec, digest: Fingerprint) {
    self.offset = offset
    self.rawLength = rawLength
    self.payloadLength = payloadLength
    self.codec = codec
    self.digest = digest
  }
}

/// What a data stream (9010) carries.
public enum DataFrame: Hashable, Sendable {
  /// First frame of a stream.
  case attach(session: SessionID, ticket: StreamTicket)
  /// The target took the ticket.
  case attached
  case chunk(ChunkHeader)
  case zeroRun(Extent)
  /// No more chunks on this stream; counts what was sent.
  case streamEnd(chunks: UInt64, zeroRuns: UInt64)
  /// All frames of the stream are written to staging.
  case streamEndAcknowledged
  /// Nothing was sent for a while, and the sender lives: optional, and skipped by whoever reads it.
  case keepAlive
  /// The sender of this frame closes the connection, and why.
  case close(ReplError)
}
