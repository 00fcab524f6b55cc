import BlockDiff
import Glibc
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// The source's end of one data stream: digest, compression, framing, TLS. It belongs to the one thread that ships.
///
/// `@unchecked Sendable`: the encoder, buffers and counters are touched by that thread only; `cancel`, `keepAlive` and
/// `bytesOnWire`, which others call, touch atomics and what locks itself.
final class DataStreamSender: ChunkLink, @unchecked Sendable {
  private let connection: TLSConnection
  private let encoder: ChunkEncoder
  private let frame = AlignedBuffer(count: Int(blockSize) * 4)
  private var compression = CompressionChoice()
  private let canCompress: Bool
  private var chunks: UInt64 = 0
  private var zeroRuns: UInt64 = 0
  private let sent = Atomic<UInt64>(0)
  /// By the monotonic clock, in nanoseconds.
  private let lastSent = Atomic<UInt64>(MonotonicClock.now())
  private let isSending = Atomic<Bool>(false)
  /// Nanoseconds without a frame after which one is sent to show that this end lives.
  static let silence: UInt64 = 30_000_000_000

  /// Shows the ticket and waits until the target took it.
  init(
    connection: TLSConnection, session: SessionID, ticket: StreamTicket, maxChunk: UInt32, codecs: UInt32
  ) throws(ReplError) {
    self.connection = connection
    encoder = ChunkEncoder(maxChunk: maxChunk)
    canCompress = codecs & (1 << UInt32(ChunkCodec.lz4.rawValue)) != 0
    connection.setReadTimeout(.seconds(60))
    try send(.attach(session: session, ticket: ticket))
    guard case .attached = try receive() else { throw outOfOrder("attached") }
  }

  var bytesOnWire: UInt64 { sent.load(ordering: .relaxed) }

  func cancel() { connection.cancel() }

  /// Shows the target that this end lives if nothing was sent for a while, whatever the thread that ships is doing. A
  /// stream that is just sending, or waiting to, needs no such sign. Never waits: the caller has other streams to look at.
  func keepAlive(at now: UInt64) {
    let last = lastSent.load(ordering: .relaxed)
    guard now > last, now - last >= Self.silence, !isSending.load(ordering: .relaxed) else { return }
    let head = AlignedBuffer(count: DataFrameCodec.headLength)
    let length = DataFrameCodec.encode(.keepAlive, into: head.bytes)
    // What is wrong with the connection is found by who ships.
    let sent = try? connection.writeAtOnce(UnsafeRawBufferPointer(rebasing: head.bytes[..<length]))
    if sent == true { lastSent.store(now, ordering: .relaxed) }
  }

  func sendChunk(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    let compress = canCompress && compression.shouldCompress()
    // Every chunk has a digest: its time says nothing about compression.
    let digest = chunkDigest(raw)
    let start = MonotonicClock.now()
    let chunk = encoder.encode(raw, at: offset, digest: digest, compress: compress)
    let encoded = MonotonicClock.now()
    if chunk.tried {
      compression.recordCompression(
        rawBytes: raw.count, payloadBytes: chunk.payload.count, nanoseconds: encoded - start)
    }
    let length = DataFrameCodec.encode(chunk.header, into: frame.bytes)
    try write(UnsafeRawBufferPointer(rebasing: frame.bytes[..<length]), chunk.payload)
    compression.recordSend(wireBytes: length + chunk.payload.count, nanoseconds: MonotonicClock.now() - encoded)
    chunks += 1
  }

  func sendZeros(_ extent: Extent) throws(ReplError) {
    try send(.zeroRun(extent))
    zeroRuns += 1
  }

  func finish() throws(ReplError) {
    try send(.streamEnd(chunks: chunks, zeroRuns: zeroRuns))
    // The target may have to bring all it has buffered to disk first.
    connection.setReadTimeout(.seconds(300))
    guard case .streamEndAcknowledged = try receive() else { throw outOfOrder("end of stream acknowledged") }
    connection.close()
  }

  private func send(_ message: DataFrame) throws(ReplError) {
    let length = DataFrameCodec.encode(message, into: frame.bytes)
    try write(
      UnsafeRawBufferPointer(rebasing: frame.bytes[..<length]), UnsafeRawBufferPointer(start: nil, count: 0))
  }

  private func write(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) throws(ReplError) {
    isSending.store(true, ordering: .relaxed)
    defer {
      lastSent.store(MonotonicClock.now(), ordering: .relaxed)
      isSending.store(false, ordering: .relaxed)
    }
    do throws(ReplError) {
      try connection.write(head, payload)
    } catch {
      // A target that closes says why first: its words are worth more than a broken pipe.
      throw pendingRefusal() ?? error
    }
    sent.add(UInt64(head.count + payload.count), ordering: .relaxed)
  }

  private func pendingRefusal() -> ReplError? {
    guard !connection.isCancelled else { return nil }
    connection.setReadTimeout(.seconds(2))
    do throws(ReplError) {
      _ = try receive()
      return nil
    } catch {
      return error.kind == .transient || error.kind == .cancelled ? nil : error
    }
  }

  private func receive() throws(ReplError) -> DataFrameHead.Content {
    var reader = DataFrameReader(connection: connection)
    return try reader.next().content
  }

  private func outOfOrder(_ expected: String) -> ReplError {
    ReplError(
      .protocolViolation, subject: "peer \(connection.remoteAddress)", cause: "sent another frame than '\(expected)'")
  }
}

/// Reads heads and small payloads of a data stream. Throws what a close frame says.
struct DataFrameReader {
  let connection: TLSConnection
  private var head = [UInt8](repeating: 0, count: DataFrameCodec.headLength)

  init(connection: TLSConnection) { self.connection = connection }

  /// Why there is no next frame.
  enum Failure: Error {
    /// The frame is not as the protocol says.
    case wire(WireError)
    /// What the peer closed with, or a connection that was cut.
    case other(ReplError)
  }

  /// The next head that is not to be skipped; a close frame is thrown as the error it carries.
  mutating func next() throws(ReplError) -> DataFrameHead {
    do throws(Failure) {
      return try nextFrame()
    } catch {
      switch error {
      case .wire(let error): throw error.asReplError(subject: "peer \(connection.remoteAddress)")
      case .other(let error): throw error
      }
    }
  }

  /// As ``next()``, with the reason a wrong frame is to be closed with.
  mutating func nextFrame() throws(Failure) -> DataFrameHead {
    while true {
      let found = try readHead()
      if found.isPayloadSkipped { _ = try payload(found.payloadLength) }
      switch found.content {
      case .skip: continue
      case .close: throw .other(closeError(try payload(found.payloadLength)))
      default: return found
      }
    }
  }

  private func payload(_ length: UInt32) throws(Failure) -> [UInt8] {
    do throws(ReplError) { return try readPayload(length) } catch { throw .other(error) }
  }

  func readPayload(_ length: UInt32) throws(ReplError) -> [UInt8] {
    var payload = [UInt8](repeating: 0, count: Int(length))
    try payload.withUnsafeMutableBufferPointer { (space) throws(ReplError) in
      guard length > 0 else { return }
      guard try connection.readExactly(into: UnsafeMutableRawBufferPointer(space)) else { throw cut }
    }
    return payload
  }

  private mutating func readHead() throws(Failure) -> DataFrameHead {
    let isWhole: Bool
    do throws(ReplError) {
      isWhole = try head.withUnsafeMutableBufferPointer { (space) throws(ReplError) in
        try connection.readExactly(into: UnsafeMutableRawBufferPointer(space))
      }
    } catch { throw .other(error) }
    guard isWhole else { throw .other(cut) }
    do throws(WireError) {
      return try head.withUnsafeBufferPointer { (bytes) throws(WireError) in
        try DataFrameCodec.decodeHeader(UnsafeRawBufferPointer(bytes))
      }
    } catch { throw .wire(error) }
  }

  private func closeError(_ payload: [UInt8]) -> ReplError {
    do throws(WireError) {
      return try payload.withUnsafeBufferPointer { (bytes) throws(WireError) in
        try DataFrameCodec.decodeClose(UnsafeRawBufferPointer(bytes)).received(
          from: "peer \(connection.remoteAddress)")
      }
    } catch {
      return error.asReplError(subject: "peer \(connection.remoteAddress)")
    }
  }

  private var cut: ReplError {
    ReplError(.transient, subject: "peer \(connection.remoteAddress)", cause: "the data stream was cut")
  }
}
