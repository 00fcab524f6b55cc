import BlockDiff
import ReplModel
import Threads
import WireProtocol
import WireTransport

/// The target's end of one data stream (9010): reads frames, proves chunks by their digest, stages them. Runs on the
/// connection's own thread; takes no memory per chunk.
struct DataStreamReceiver {
  private let connection: TLSConnection
  private let service: TargetService
  private let peer: String

  init(connection: TLSConnection, service: TargetService, peer: String) {
    self.connection = connection
    self.service = service
    self.peer = peer
  }

  /// What ends a stream, with the reason that travels.
  private struct Failure: Error {
    var reason: ReasonCode
    var error: ReplError

    init(_ error: ReplError, reason: ReasonCode? = nil) {
      self.reason = reason ?? ReasonCode(for: error.kind)
      self.error = error
    }

    init(_ error: WireError, peer: String) {
      self.init(error.asReplError(subject: "peer \(peer)"), reason: error.reason)
    }
  }

  /// Says why a connection is not served.
  static func refuse(_ connection: TLSConnection, _ error: ReplError) {
    let message = AlignedBuffer(count: DataFrameCodec.bufferLength)
    let length = DataFrameCodec.encode(.close(error), into: message.bytes, reason: ReasonCode(for: error.kind))
    try? connection.write(UnsafeRawBufferPointer(rebasing: message.bytes[..<length]))
  }

  /// Serves the stream to its end. What goes wrong is told to the peer before the connection closes.
  func run() {
    do throws(Failure) {
      let stream = try attach()
      defer { stream.close() }
      connection.setDeadline(.never)
      connection.setReadTimeout(Liveness.streamSilence)
      try receive(stream)
    } catch {
      let message = AlignedBuffer(count: DataFrameCodec.bufferLength)
      let length = DataFrameCodec.encode(.close(error.error), into: message.bytes, reason: error.reason)
      try? connection.write(UnsafeRawBufferPointer(rebasing: message.bytes[..<length]))
    }
    connection.close(lingering: .seconds(2))
  }

  /// Runs a step whose error has no reason of its own.
  private func step<Value>(_ body: () throws(ReplError) -> Value) throws(Failure) -> Value {
    do throws(ReplError) { return try body() } catch { throw Failure(error) }
  }

  /// Runs a check that says with which reason the stream is closed.
  private func check<Value>(_ body: () throws(WireError) -> Value) throws(Failure) -> Value {
    do throws(WireError) { return try body() } catch { throw Failure(error, peer: peer) }
  }

  private func next(_ reader: inout DataFrameReader) throws(Failure) -> DataFrameHead {
    let silence = Deadline.after(Liveness.streamSilence)
    do throws(DataFrameReader.Failure) {
      return try reader.nextFrame()
    } catch {
      switch error {
      case .wire(let error): throw Failure(error, peer: peer)
      case .other(let error):
        throw Failure(error, reason: error.kind == .transient && silence.isOver ? .timedOut : nil)
      }
    }
  }

  private func attach() throws(Failure) -> TargetStream {
    var reader = DataFrameReader(connection: connection)
    let head = try next(&reader)
    guard case .attach(let session) = head.content else { throw outOfOrder("a data stream begins with attach") }
    let payload = try step { () throws(ReplError) in try reader.readPayload(head.payloadLength) }
    let ticket = try check { () throws(WireError) in
      try payload.withUnsafeBufferPointer { (bytes) throws(WireError) in
        try DataFrameCodec.decodeTicket(UnsafeRawBufferPointer(bytes))
      }
    }
    let stream = try open(session, ticket)
    do throws(Failure) {
      try answer(.attached)
    } catch {
      stream.close()
      throw error
    }
    return stream
  }

  /// A session that is not open and a ticket that is not good are the same to the peer: it begins again.
  private func open(_ session: SessionID, _ ticket: StreamTicket) throws(Failure) -> TargetStream {
    do throws(ReplError) {
      return try service.attach(session: session, ticket: ticket, from: peer) { [connection] in connection.cancel() }
    } catch {
      throw Failure(error, reason: error.kind == .protocolViolation ? .outOfOrder : .ticketRefused)
    }
  }

  private func receive(_ stream: TargetStream) throws(Failure) {
    var reader = DataFrameReader(connection: connection)
    let limits = stream.limits
    let payload = AlignedBuffer(count: Int(segmentSize))
    let raw = AlignedBuffer(count: Int(segmentSize))
    var (chunks, zeroRuns): (UInt64, UInt64) = (0, 0)
    let received = service.context.metrics.receiving(from: peer)
    while true {
      let head = try next(&reader)
      try check { () throws(WireError) in try limits.check(head) }
      switch head.content {
      case .chunk(let chunk):
        try receive(chunk, payload, raw, stream)
        received.increment(by: Int64(chunk.rawLength))
        chunks += 1
      case .zeroRun(let extent):
        try step { () throws(ReplError) in try stream.writeZeros(extent) }
        zeroRuns += 1
      case .streamEnd(let sentChunks, let sentRuns):
        guard sentChunks == chunks, sentRuns == zeroRuns else {
          throw outOfOrder(
            "sent \(chunks) chunks and \(zeroRuns) zero runs, and counts \(sentChunks) and \(sentRuns)")
        }
        stream.close()
        return try answer(.streamEndAcknowledged)
      default:
        throw outOfOrder("sent a frame that has no place here")
      }
    }
  }

  private func receive(
    _ chunk: ChunkHeader, _ payload: AlignedBuffer, _ raw: AlignedBuffer, _ stream: TargetStream
  ) throws(Failure) {
    // Raw chunks are read to where they are staged from: nothing is copied.
    let space = chunk.codec == .raw ? raw : payload
    let bytes = space.prefix(Int(chunk.payloadLength))
    try step { () throws(ReplError) in
      guard try connection.readExactly(into: bytes) else {
        throw ReplError(.transient, subject: "peer \(peer)", cause: "the data stream was cut")
      }
    }
    try check { () throws(WireError) in
      try ChunkDecoder.decode(chunk, payload: UnsafeRawBufferPointer(bytes), into: raw.bytes)
    }
    try step { () throws(ReplError) in
      try stream.write(UnsafeRawBufferPointer(raw.prefix(Int(chunk.rawLength))), at: chunk.offset)
    }
  }

  private func answer(_ message: DataFrame) throws(Failure) {
    let buffer = AlignedBuffer(count: DataFrameCodec.bufferLength)
    let length = DataFrameCodec.encode(message, into: buffer.bytes)
    try step { () throws(ReplError) in
      try connection.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<length]))
    }
  }

  private func outOfOrder(_ what: String) -> Failure {
    Failure(ReplError(.protocolViolation, subject: "peer \(peer)", cause: what), reason: .outOfOrder)
  }
}
