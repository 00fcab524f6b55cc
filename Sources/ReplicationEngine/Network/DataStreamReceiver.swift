import BlockDiff
import ReplModel
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

  /// Serves the stream to its end. What goes wrong is told to the peer before the connection closes.
  func run() {
    do throws(ReplError) {
      connection.setReadTimeout(.seconds(30))
      let stream = try attach()
      defer { stream.close() }
      connection.setReadTimeout(.seconds(300))
      try receive(stream)
    } catch {
      let message = AlignedBuffer(count: DataFrameCodec.bufferLength)
      let length = DataFrameCodec.encode(.close(error), into: message.bytes)
      try? connection.write(UnsafeRawBufferPointer(rebasing: message.bytes[..<length]))
      connection.close(lingering: .seconds(2))
      return
    }
    connection.close(lingering: .seconds(2))
  }

  private func attach() throws(ReplError) -> TargetStream {
    var reader = DataFrameReader(connection: connection)
    let head = try reader.next()
    guard case .attach(let session) = head.content else {
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "a data stream begins with attach")
    }
    guard let ticket = StreamTicket(bytes: try reader.readPayload(head.payloadLength)) else {
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "sent a ticket of another length")
    }
    let stream = try service.attach(session: session, ticket: ticket, from: peer)
    do throws(ReplError) {
      try answer(.attached)
    } catch {
      stream.close()
      throw error
    }
    return stream
  }

  private func receive(_ stream: TargetStream) throws(ReplError) {
    var reader = DataFrameReader(connection: connection)
    let limits = StreamLimits(volumeSize: stream.volumeSize, maxChunk: 1 << 20, codecs: 0b11)
    let payload = AlignedBuffer(count: Int(segmentSize))
    let raw = AlignedBuffer(count: Int(segmentSize))
    var (chunks, zeroRuns): (UInt64, UInt64) = (0, 0)
    while true {
      let head = try reader.next()
      try check(head, limits)
      switch head.content {
      case .chunk(let chunk):
        try receive(chunk, payload, raw, stream)
        chunks += 1
      case .zeroRun(let extent):
        try stream.writeZeros(extent)
        zeroRuns += 1
      case .streamEnd(let sentChunks, let sentRuns):
        guard sentChunks == chunks, sentRuns == zeroRuns else {
          throw ReplError(
            .protocolViolation, subject: "peer \(peer)",
            cause: "sent \(chunks) chunks and \(zeroRuns) zero runs, and counts \(sentChunks) and \(sentRuns)")
        }
        stream.close()
        return try answer(.streamEndAcknowledged)
      default:
        throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "sent a frame that has no place here")
      }
    }
  }

  private func receive(
    _ chunk: ChunkHeader, _ payload: AlignedBuffer, _ raw: AlignedBuffer, _ stream: TargetStream
  ) throws(ReplError) {
    // Raw chunks are read to where they are staged from: nothing is copied.
    let space = chunk.codec == .raw ? raw : payload
    let bytes = space.prefix(Int(chunk.payloadLength))
    guard try connection.readExactly(into: bytes) else {
      throw ReplError(.transient, subject: "peer \(peer)", cause: "the data stream was cut")
    }
    do throws(WireError) {
      try ChunkDecoder.decode(chunk, payload: UnsafeRawBufferPointer(bytes), into: raw.bytes)
    } catch {
      throw error.asReplError(subject: "peer \(peer)")
    }
    try stream.write(UnsafeRawBufferPointer(raw.prefix(Int(chunk.rawLength))), at: chunk.offset)
  }

  private func check(_ head: DataFrameHead, _ limits: StreamLimits) throws(ReplError) {
    do throws(WireError) { try limits.check(head) } catch { throw error.asReplError(subject: "peer \(peer)") }
  }

  private func answer(_ message: DataFrame) throws(ReplError) {
    let buffer = AlignedBuffer(count: DataFrameCodec.bufferLength)
    let length = DataFrameCodec.encode(message, into: buffer.bytes)
    try connection.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<length]))
  }
}
