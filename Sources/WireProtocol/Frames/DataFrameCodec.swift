import CStorageShims
import ReplModel

/// Frames of the data streams (9010). Every frame begins with one head of 48 bytes, so that a receiver reads one size,
/// decodes in place and takes no memory per chunk.
///
/// | bytes | field | chunk | zero run | attach | stream end |
/// |---|---|---|---|---|---|
/// | 0..1 | magic 0x4452 | | | | |
/// | 2 | type | 3 | 4 | 1 | 5 |
/// | 3 | flags: bit 0 optional | | | | |
/// | 4..7 | payload length | payload | 0 | 32 | 0 |
/// | 8..15 | first | offset | offset | 0 | chunks |
/// | 16..23 | second | raw length | length | 0 | zero runs |
/// | 24..39 | digest | of the raw bytes | 0 | session id | 0 |
/// | 40 | codec | codec | 0 | 0 | 0 |
/// | 41..43 | reserved, 0 | | | | |
/// | 44..47 | low 32 bits of XXH3-128 of bytes 0..43 | | | | |
public enum DataFrameCodec {
  /// Bytes of every head.
  public static let headLength = 48
  /// The first two bytes of every head.
  public static let magic: UInt16 = 0x4452
  /// Largest payload of a frame that is no chunk, in bytes.
  public static let smallPayloadLimit: UInt32 = 8 << 10
  /// Largest payload of an optional frame that is not known, in bytes.
  public static let unknownPayloadLimit: UInt32 = 64 << 10
  /// Room that any frame but a chunk's payload fits in, in bytes.
  public static let bufferLength = headLength + Int(smallPayloadLimit)

  static let optionalFlag: UInt8 = 1

  enum FrameNumber: UInt8 {
    case attach = 1
    case attached = 2
    case chunk = 3
    case zeroRun = 4
    case streamEnd = 5
    case streamEndAcknowledged = 6
    case close = 7
    case keepAlive = 8
  }

  /// Writes a frame, of a chunk the head only; its payload is sent after it.
  ///
  /// - Parameters:
  ///   - buffer: at least ``headLength`` bytes for a chunk, ``bufferLength`` for any frame.
  ///   - reason: of a close; by default the one that goes with its error's kind.
  /// - Returns: bytes written; 0 if the buffer is too small, which no caller with the lengths above sees.
  public static func encode(
    _ frame: DataFrame, into buffer: UnsafeMutableRawBufferPointer, reason: ReasonCode? = nil
  ) -> Int {
    switch frame {
    case .chunk(let chunk): return encode(chunk, into: buffer)
    case .zeroRun(let run): return write(.zeroRun, into: buffer, first: run.offset, second: run.length)
    case .attach(let session, let ticket):
      let id = fields(of: session)
      return write(.attach, into: buffer, digest: id, payload: ticket.bytes)
    case .attached: return write(.attached, into: buffer)
    case .streamEnd(let chunks, let zeroRuns):
      return write(.streamEnd, into: buffer, first: chunks, second: zeroRuns)
    case .streamEndAcknowledged: return write(.streamEndAcknowledged, into: buffer)
    case .keepAlive: return write(.keepAlive, into: buffer)
    case .close(let error):
      let notice = CloseNotice(reason: reason ?? ReasonCode(for: error.kind), error: error)
      return write(.close, into: buffer, payload: notice.encode())
    }
  }

  /// Writes a chunk's head: 48 bytes, without taking memory.
  public static func encode(_ chunk: ChunkHeader, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    write(
      .chunk, into: buffer, first: chunk.offset, second: UInt64(chunk.rawLength), digest: chunk.digest,
      codec: chunk.codec.rawValue, payloadLength: chunk.payloadLength)
  }

  /// Reads a head in place and checks it, so that room for the payload may be taken. Bounds of the volume are checked by
  /// ``StreamLimits``.
  ///
  /// - Throws: `malformedHeader`, `unknownType` or `tooLong`; for chunks also `chunkOutOfBounds` and `badPayload`.
  public static func decodeHeader(_ head: UnsafeRawBufferPointer) throws(WireError) -> DataFrameHead {
    guard head.count >= headLength else {
      throw WireError(.malformedHeader, "a head has \(headLength) bytes, found \(head.count)")
    }
    guard integer(head, at: 0, as: UInt16.self) == magic else {
      throw WireError(.malformedHeader, "the head does not begin with 0x4452")
    }
    guard integer(head, at: 44, as: UInt32.self) == checksum(head) else {
      throw WireError(.malformedHeader, "the check of the head is wrong")
    }
    let (number, flags) = (head[2], head[3])
    guard flags & ~optionalFlag == 0, integer(head, at: 40, as: UInt32.self) >> 8 == 0 else {
      throw WireError(.malformedHeader, "flags or reserved bytes have no meaning")
    }
    let length = integer(head, at: 4, as: UInt32.self)
    guard let type = FrameNumber(rawValue: number) else { return try skipped(number, flags: flags, length: length) }
    try checkPayload(of: type, length: length)
    return DataFrameHead(content: try content(of: type, head, length: length), payloadLength: length)
  }

  /// Reads the payload of an attach; its tail is skipped.
  public static func decodeTicket(_ payload: UnsafeRawBufferPointer) throws(WireError) -> StreamTicket {
    guard let ticket = StreamTicket(bytes: Array(payload.prefix(StreamTicket.byteCount))) else {
      throw WireError(.malformedBody, "a ticket has \(StreamTicket.byteCount) bytes, found \(payload.count)")
    }
    return ticket
  }

  /// Reads the payload of a close.
  public static func decodeClose(_ payload: UnsafeRawBufferPointer) throws(WireError) -> CloseNotice {
    try CloseNotice(bytes: Array(payload))
  }
}

extension DataFrameCodec {
  private static func skipped(_ number: UInt8, flags: UInt8, length: UInt32) throws(WireError) -> DataFrameHead {
    guard flags & optionalFlag != 0 else {
      throw WireError(.unknownType, "data frame type \(number) is not known and not optional")
    }
    guard length <= unknownPayloadLimit else {
      throw WireError(.tooLong, "a payload of \(length) bytes, optional frames have at most \(unknownPayloadLimit)")
    }
    return DataFrameHead(content: .skip(type: number), payloadLength: length)
  }

  private static func checkPayload(of type: FrameNumber, length: UInt32) throws(WireError) {
    let allowed: ClosedRange<UInt32> =
      switch type {
      case .attach: UInt32(StreamTicket.byteCount)...UInt32(StreamTicket.byteCount) + WireLimits.dataTail
      case .chunk: 1...WireLimits.chunkSizes.upperBound
      case .close: 0...smallPayloadLimit
      case .zeroRun: 0...0
      case .keepAlive: 0...unknownPayloadLimit
      case .attached, .streamEnd, .streamEndAcknowledged: 0...WireLimits.dataTail
      }
    guard allowed.contains(length) else {
      throw WireError(
        .tooLong, "a payload of \(length) bytes, \(allowed.lowerBound) to \(allowed.upperBound) are allowed")
    }
  }

  private static func content(
    of type: FrameNumber, _ head: UnsafeRawBufferPointer, length: UInt32
  ) throws(WireError) -> DataFrameHead.Content {
    let first = integer(head, at: 8, as: UInt64.self)
    let second = integer(head, at: 16, as: UInt64.self)
    let digest = Fingerprint(
      low: integer(head, at: 24, as: UInt64.self), high: integer(head, at: 32, as: UInt64.self))
    let expectsZero: Bool
    let content: DataFrameHead.Content
    switch type {
    case .chunk:
      return .chunk(try chunk(offset: first, rawLength: second, digest: digest, codec: head[40], length: length))
    case .zeroRun:
      guard first <= WireLimits.volumeSize, second <= WireLimits.volumeSize - first else {
        throw WireError(.chunkOutOfBounds, "a run of zeros ends beyond 2^63 - 1")
      }
      (content, expectsZero) = (.zeroRun(Extent(offset: first, length: second)), digest == .zero)
    case .attach:
      let session = SessionID(high: digest.low.byteSwapped, low: digest.high.byteSwapped)
      (content, expectsZero) = (.attach(session: session), first == 0 && second == 0)
    case .streamEnd: (content, expectsZero) = (.streamEnd(chunks: first, zeroRuns: second), digest == .zero)
    case .keepAlive: return .skip(type: type.rawValue)
    case .attached, .streamEndAcknowledged, .close:
      expectsZero = first == 0 && second == 0 && digest == .zero
      content = type == .attached ? .attached : type == .close ? .close : .streamEndAcknowledged
    }
    guard expectsZero, head[40] == 0 else {
      throw WireError(.malformedHeader, "fields without a meaning for this frame are not 0")
    }
    return content
  }

  private static func chunk(
    offset: UInt64, rawLength: UInt64, digest: Fingerprint, codec number: UInt8, length: UInt32
  ) throws(WireError) -> ChunkHeader {
    guard let codec = ChunkCodec(rawValue: number) else {
      throw WireError(.badPayload, "codec \(number) is not known")
    }
    guard (1...UInt64(WireLimits.chunkSizes.upperBound)).contains(rawLength), offset <= WireLimits.volumeSize else {
      throw WireError(.chunkOutOfBounds, "a chunk of \(rawLength) bytes at \(offset)")
    }
    guard codec == .raw ? UInt64(length) == rawLength : UInt64(length) <= rawLength else {
      throw WireError(.badPayload, "a payload of \(length) bytes for \(rawLength) raw bytes with codec \(codec)")
    }
    return ChunkHeader(
      offset: offset, rawLength: UInt32(rawLength), payloadLength: length, codec: codec, digest: digest)
  }

  private static func write(
    _ type: FrameNumber, into buffer: UnsafeMutableRawBufferPointer, first: UInt64 = 0, second: UInt64 = 0,
    digest: Fingerprint = .zero, codec: UInt8 = 0, payloadLength: UInt32 = 0
  ) -> Int {
    guard buffer.count >= headLength else { return 0 }
    store(magic, into: buffer, at: 0)
    buffer[2] = type.rawValue
    buffer[3] = type == .keepAlive ? optionalFlag : 0
    store(payloadLength, into: buffer, at: 4)
    store(first, into: buffer, at: 8)
    store(second, into: buffer, at: 16)
    store(digest.low, into: buffer, at: 24)
    store(digest.high, into: buffer, at: 32)
    store(UInt32(codec), into: buffer, at: 40)
    store(checksum(UnsafeRawBufferPointer(buffer)), into: buffer, at: 44)
    return headLength
  }

  private static func write(
    _ type: FrameNumber, into buffer: UnsafeMutableRawBufferPointer, digest: Fingerprint = .zero, payload: [UInt8]
  ) -> Int {
    guard buffer.count >= headLength + payload.count else { return 0 }
    let length = write(type, into: buffer, digest: digest, payloadLength: UInt32(payload.count))
    UnsafeMutableRawBufferPointer(rebasing: buffer[length...]).copyBytes(from: payload)
    return length + payload.count
  }

  /// The two words that, stored little endian, give the id's bytes in their order.
  private static func fields(of session: SessionID) -> Fingerprint {
    Fingerprint(low: session.high.byteSwapped, high: session.low.byteSwapped)
  }

  /// Low 32 bits of the XXH3-128 of the first 44 bytes; the caller has checked that they are there.
  private static func checksum(_ head: UnsafeRawBufferPointer) -> UInt32 {
    guard let start = head.baseAddress else { return 0 }
    return UInt32(truncatingIfNeeded: css_xxh3_128(start, headLength - 4).low)
  }

  private static func integer<Value: FixedWidthInteger>(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, as type: Value.Type
  ) -> Value {
    Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  private static func store(_ value: some FixedWidthInteger, into buffer: UnsafeMutableRawBufferPointer, at offset: Int)
  {
    buffer.storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
  }
}
