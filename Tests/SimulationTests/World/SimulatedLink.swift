import BlockDiff
import ReplModel
import Threads
import WireProtocol

@testable import ReplicationEngine

/// The network between the two agents: every message and chunk is encoded and decoded, and what ``Faults`` say happens
/// to it on the way. Used by one thread.
final class SimulatedLink: PeerTransport, @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  let maxChunk: UInt32 = 64 << 10
  private unowned let world: World
  private unowned let sender: Machine
  private unowned let receiver: Machine
  private let documents = AsyncBridge()
  private(set) var failure: ReplError?
  private(set) var greetedAt: Double?

  /// - Parameter machine: the one whose agent asks; the source unless said.
  init(_ world: World, from machine: Machine? = nil) {
    self.world = world
    sender = machine ?? world.source
    receiver = world.other(sender)
  }

  deinit { documents.stop() }

  var cluster: String { receiver.cluster }

  func move(host: String, port: UInt16) {}
  func end(_ reason: ReplError) { failure = reason }

  func request(_ request: ControlRequest, timeout: Double) throws(ReplError) -> ControlReply {
    if let failure { throw failure }
    try sender.requireIsUp()
    world.clock.advance(seconds: 0.01)
    try world.sends(request, from: sender)
    let fault = world.faults.request(mayRepeat: request.mayRepeat)
    if fault == .cutBefore || world.cutsBefore(request) { throw Self.cut("before \(request.frameType)") }
    var reply = try deliver(request)
    if fault == .twice { reply = try deliver(request) }
    if fault == .cutAfter || world.cutsAfter(request) { throw Self.cut("after \(request.frameType)") }
    try sender.requireIsUp()
    greetedAt = world.clock.ticks()
    reply = world.answer(request, reply)
    if case .refused(let error) = reply { throw error }
    return reply
  }

  private func deliver(_ request: ControlRequest) throws(ReplError) -> ControlReply {
    let (type, body) = request.encode()
    do throws(WireError) {
      let arrived = try ControlRequest(type: type, body: body)
      guard arrived == request else { throw WireError(.malformedBody, "\(request) became \(arrived)") }
      let answer = receiver.core.requests.answer(
        arrived, from: sender.cluster, agreement: StreamAgreement(), documents: documents)
      if receiver.power.isDown {
        try? world.reboot(receiver)
        throw WireError(.outOfOrder, "down")
      }
      let (flags, bytes) = answer.encode()
      let reply = try ControlReply(type: type, body: bytes, flags: flags)
      guard reply == answer else { throw WireError(.malformedBody, "\(answer) became \(reply)") }
      return reply
    } catch {
      if error.reason == .outOfOrder { throw Self.cut("the other side lost its power") }
      throw ReplError(.bug, subject: "codec", cause: "\(error)")
    }
  }

  func openStream(
    _ begin: BeginReply, session: SessionID, ticket: StreamTicket
  ) throws(ReplError) -> any ChunkLink {
    try sender.requireIsUp()
    let stream = try receiver.core.target.attach(session: session, ticket: ticket, from: sender.cluster)
    return SimulatedStream(world, stream, from: sender)
  }

  static func cut(_ cause: String) -> ReplError { ReplError(.transient, subject: "link", cause: cause) }
}

extension ControlRequest {
  /// Whether the network may bring it twice and the second is answered like the first.
  fileprivate var mayRepeat: Bool {
    switch self {
    case .commitGroup, .confirmGroup, .queryPoint, .inventory, .beginSession: true
    default: false
    }
  }
}

/// One data stream. Used by one thread.
final class SimulatedStream: ChunkLink, @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  private unowned let world: World
  private unowned let sender: Machine
  private unowned let receiver: Machine
  private var stream: TargetStream?
  private let encoder = ChunkEncoder(maxChunk: 64 << 10)
  private let raw = AlignedBuffer(count: Int(segmentSize))
  private let head = AlignedBuffer(count: DataFrameCodec.bufferLength)
  private(set) var bytesOnWire: UInt64 = 0

  init(_ world: World, _ stream: TargetStream, from sender: Machine) {
    self.world = world
    self.sender = sender
    receiver = world.other(sender)
    self.stream = stream
  }

  func sendChunk(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try guarding { (stream) throws(ReplError) in
      world.onChunk()
      let fault = world.faults.chunk()
      if fault == .lost { throw SimulatedLink.cut("a chunk was lost") }
      let chunk = encoder.encode(bytes, at: offset, compress: world.faults.compresses())
      var payload = Array(chunk.payload)
      if fault == .flipped {
        let bit = world.faults.bit(of: payload.count)
        payload[bit / 8] ^= 1 << UInt8(bit % 8)
      }
      let count = try receive(chunk.header, payload, isFlipped: fault == .flipped, size: stream.volumeSize)
      let arrived = UnsafeRawBufferPointer(raw.prefix(count))
      try stream.write(arrived, at: offset)
      if fault == .twice { try stream.write(arrived, at: offset) }
      world.shippedBytes += UInt64(count)
      world.clock.advance(seconds: world.faults.pause())
      bytesOnWire += UInt64(payload.count)
      if world.cutsAfterChunk() { throw SimulatedLink.cut("the stream was cut") }
    }
  }

  private func receive(
    _ header: ChunkHeader, _ payload: [UInt8], isFlipped: Bool, size: UInt64
  ) throws(ReplError) -> Int {
    do throws(WireError) {
      let length = DataFrameCodec.encode(header, into: head.bytes)
      let frame = try DataFrameCodec.decodeHeader(UnsafeRawBufferPointer(rebasing: head.bytes[..<length]))
      try StreamLimits(volumeSize: size, maxChunk: 64 << 10, codecs: 0b11).check(frame)
      guard case .chunk(let arrived) = frame.content, arrived == header else {
        throw WireError(.malformedBody, "a chunk's head changed")
      }
      try payload.withUnsafeBufferPointer { (payload) throws(WireError) in
        try ChunkDecoder.decode(arrived, payload: UnsafeRawBufferPointer(payload), into: raw.bytes)
      }
    } catch {
      if isFlipped { throw SimulatedLink.cut("refused damaged chunk: \(error)") }
      throw ReplError(.bug, subject: "codec", cause: "\(error)")
    }
    // Padding of a compressed block may flip without changing what it stands for; the digest says that it did not.
    return Int(header.rawLength)
  }

  func sendZeros(_ extent: Extent) throws(ReplError) {
    try guarding { (stream) throws(ReplError) in
      if world.faults.chunk() == .lost { throw SimulatedLink.cut("a run of zeros was lost") }
      try stream.writeZeros(extent)
    }
  }

  func finish() throws(ReplError) {
    try guarding { (_) throws(ReplError) in }
    cancel()
  }

  func cancel() {
    stream?.close()
    stream = nil
  }

  private func guarding(_ body: (TargetStream) throws(ReplError) -> Void) throws(ReplError) {
    try sender.requireIsUp()
    guard let stream else { throw SimulatedLink.cut("the stream is closed") }
    do throws(ReplError) {
      try body(stream)
      if receiver.power.isDown { throw SimulatedLink.cut("the other side lost its power") }
    } catch {
      cancel()
      guard receiver.power.isDown else { throw error }
      try world.reboot(receiver)
      throw SimulatedLink.cut("the other side lost its power")
    }
  }
}
