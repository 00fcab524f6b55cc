import ReplModel

@testable import WireProtocol

/// A frame's bytes; of a chunk the head.
func encoded(_ frame: DataFrame, reason: ReasonCode? = nil) -> [UInt8] {
  var buffer = [UInt8](repeating: 0xEE, count: DataFrameCodec.bufferLength)
  let count = buffer.withUnsafeMutableBytes { DataFrameCodec.encode(frame, into: $0, reason: reason) }
  return Array(buffer[..<count])
}

func decodedHead(_ bytes: [UInt8]) throws -> DataFrameHead {
  try bytes.withUnsafeBytes { try DataFrameCodec.decodeHeader($0) }
}

/// The frame that head and payload are.
func decoded(_ bytes: [UInt8]) throws -> DataFrame {
  let head = try decodedHead(bytes)
  let payload = Array(bytes[DataFrameCodec.headLength...])
  guard payload.count == Int(head.payloadLength) else { throw Samples.Absent() }
  return try payload.withUnsafeBytes { buffer in
    switch head.content {
    case .attach(let session): .attach(session: session, ticket: try DataFrameCodec.decodeTicket(buffer))
    case .attached: .attached
    case .chunk(let chunk): .chunk(chunk)
    case .zeroRun(let run): .zeroRun(run)
    case .streamEnd(let chunks, let zeroRuns): .streamEnd(chunks: chunks, zeroRuns: zeroRuns)
    case .streamEndAcknowledged: .streamEndAcknowledged
    case .close: .close(try DataFrameCodec.decodeClose(buffer).error)
    case .skip: throw Samples.Absent()
    }
  }
}

/// The raw bytes of a chunk.
func chunkBytes(_ chunk: ChunkHeader, payload: [UInt8]) throws -> [UInt8] {
  var raw = [UInt8](repeating: 0xEE, count: Int(chunk.rawLength))
  try raw.withUnsafeMutableBytes { raw in
    try payload.withUnsafeBytes { try ChunkDecoder.decode(chunk, payload: $0, into: raw) }
  }
  return raw
}

/// The wire error thrown, if one is.
func wireError(_ body: () throws -> Void) -> WireError? {
  do {
    try body()
    return nil
  } catch {
    return error as? WireError
  }
}

/// The reason a wire error has, or nil when nothing is thrown.
func reason(_ body: () throws -> Void) -> ReasonCode? {
  do {
    try body()
    return nil
  } catch let error as WireError {
    return error.reason
  } catch {
    return ReasonCode(rawValue: 999)
  }
}

/// The kind of error thrown, or nil when nothing is thrown.
func kind(_ body: () throws -> Void) -> ReplError.Kind? {
  do {
    try body()
    return nil
  } catch let error as ReplError {
    return error.kind
  } catch {
    return .bug
  }
}
