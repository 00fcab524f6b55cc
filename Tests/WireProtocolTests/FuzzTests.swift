import Glibc
import ReplModel
import TestSupport
import Testing

@testable import WireProtocol

/// Whatever bytes come in, a decoder answers or throws: no crash, and no memory for what is only announced.
@Suite("Decoders take any bytes", .serialized)
struct FuzzTests {
  /// Largest resident size so far, in KiB.
  private func peak() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss
  }

  private func decodeAll(_ type: UInt16, _ body: [UInt8]) {
    _ = try? ControlRequest(type: type, body: body)
    _ = try? ControlReply(type: type, body: body, flags: .reply)
    _ = try? ControlReply(type: type, body: body, flags: [.reply, .error])
    _ = try? PairingRequest(type: type, body: body)
    _ = try? PairingReply(type: type, body: body, flags: .reply)
    _ = try? CloseNotice(bytes: body)
  }

  private func decodeData(_ head: [UInt8]) {
    guard let head = try? decodedHead(head) else { return }
    try? StreamLimits(volumeSize: 1 << 30, maxChunk: 1 << 20, codecs: 3).check(head)
    try? StreamLimits(volumeSize: 0, maxChunk: 65536, codecs: 1).check(head)
  }

  @Test func randomBytesNeverCrash() {
    var random = SplitMix(seed: 11)
    for _ in 0..<6000 {
      let body = random.bytes(random.below(200))
      for type in FrameType.allCases { decodeAll(type.rawValue, body) }
      decodeData(random.bytes(48))
      _ = try? ControlFrameHeader(bytes: random.bytes(16))
    }
  }

  @Test func everyTruncationIsRefusedOrSmaller() throws {
    for (name, request) in try NamedFrames.requests() {
      let (type, body) = request.encode()
      for count in 0..<body.count {
        #expect(reason { _ = try ControlRequest(type: type, body: Array(body[..<count])) } == .malformedBody, "\(name)")
      }
    }
    for (name, reply) in try NamedFrames.replies() {
      let (flags, body) = reply.encode()
      let type = try Samples.required(reply.frameType).rawValue
      for count in 0..<body.count {
        #expect(
          reason { _ = try ControlReply(type: type, body: Array(body[..<count]), flags: flags) } == .malformedBody,
          "\(name)")
      }
    }
  }

  @Test func flippedBitsNeverCrash() throws {
    var bodies: [(UInt16, [UInt8])] = try NamedFrames.requests().values.map { $0.encode() }.map { ($0.type, $0.body) }
    bodies += try NamedFrames.replies().values.map { (try Samples.required($0.frameType).rawValue, $0.encode().body) }
    for (type, body) in bodies {
      for bit in 0..<body.count * 8 {
        var wrong = body
        wrong[bit / 8] ^= 1 << UInt8(bit % 8)
        decodeAll(type, wrong)
      }
    }
  }

  /// Valid bodies with an extreme number in every place: what is accepted can be counted with.
  @Test func extremeNumbersNeverCrashWhoeverUsesThem() throws {
    for request in try NamedFrames.requests().values {
      let (type, body) = request.encode()
      for wrong in ExtremeNumbers.variants(of: body) {
        if let read = try? ControlRequest(type: type, body: wrong) { use(read) }
      }
    }
    for reply in try NamedFrames.replies().values {
      let (flags, body) = reply.encode()
      let type = try Samples.required(reply.frameType).rawValue
      for wrong in ExtremeNumbers.variants(of: body) {
        if let read = try? ControlReply(type: type, body: wrong, flags: flags) { use(read) }
      }
    }
  }

  /// What an engine does with what it is told, as far as it is arithmetic.
  private func use(_ reply: ControlReply) {
    switch reply {
    case .hello(let hello):
      _ = try? HelloNegotiation(own: Samples.hello(cluster: "own"), peer: hello, authenticatedCluster: hello.clusterID)
    case .heartbeat(let reply):
      var offset = ClockOffset()
      for arrival in [0, Int64.max, reply.sentAt.nanoseconds] {
        offset.record(reply, arrivedAt: Timestamp(nanoseconds: arrival))
      }
      _ = (offset.needsWarning, offset.uncertainty, offset.local(reply.sentAt))
    case .resumeExtents(let reply):
      var set = ExtentSet(reply.extents)
      for extent in reply.extents {
        set.insert(extent)
        set.remove(Extent(offset: extent.end - 1, length: 1))
        _ = (extent.roundedToBlocks(volumeSize: .max), set.byteCount)
      }
      _ = reply.extents.map { $0.isWholeBlocks(ofVolume: 1 << 40) }
    case .inventory(let reply): _ = reply.points.map { Int64($0.generation + 1) }
    case .queryPoint(.sealed(let seal, _)), .queryPoint(.prepared(let seal)): use(seal)
    case .verifyPoint(let reply): use(reply.seal)
    case .beginSession(let reply):
      switch reply.outcome {
      case .alreadySealed(let seal), .prepared(let seal), .proving(let seal): use(seal)
      case .base, .compareWith, .full: break
      }
    default: break
    }
  }

  private func use(_ request: ControlRequest) {
    switch request {
    case .beginSession(let begin): _ = [begin.generation + 1, begin.branch.epoch + 1, begin.size].map { Int64($0) }
    case .sealSession(let request): use(request.seal)
    case .segmentSums(let request): _ = (request.firstSegment + UInt64(request.count)) * segmentSize
    case .resumeExtents(let request): _ = Int64(request.offset)
    default: break
    }
  }

  private func use(_ seal: Seal) {
    _ = ([seal.generation + 1, seal.branch.epoch + 1, seal.size] + seal.members.map(\.size)).map { Int64($0) }
    _ = seal.takenAt.seconds(since: Timestamp(nanoseconds: .min))
  }

  @Test func flippedAndSplicedMessagesReencodeTheSame() throws {
    var messages = RandomMessages(seed: 12)
    for number in 0..<4000 {
      let (type, body) = messages.request(number).encode()
      guard !body.isEmpty else { continue }
      var wrong = body
      for _ in 0..<3 { wrong[messages.random.below(body.count)] = UInt8(truncatingIfNeeded: messages.random.next()) }
      guard let read = try? ControlRequest(type: type, body: wrong) else { continue }
      let spelling = read.encode().body
      #expect(try ControlRequest(type: type, body: spelling) == read, "what was read is said again with its spelling")
      switch read {
      // Text for people is cleaned while it is read.
      case .hello, .volumeNotice: continue
      // Whatever follows is its tail, which nothing limits but the length of a frame's body: it is part of one.
      default: #expect(wrong.starts(with: spelling), "an accepted body has one meaning and one spelling")
      }
    }
  }

  @Test func announcedLengthsTakeNoMemory() {
    let before = peak()
    let huge: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
    for type in FrameType.allCases {
      for prefix in 0..<260 { decodeAll(type.rawValue, [UInt8](repeating: 0, count: prefix) + huge) }
      for prefix in 0..<260 { decodeAll(type.rawValue, [UInt8](repeating: 1, count: prefix) + huge) }
    }
    #expect(peak() - before < 32 << 10, "KiB more than before")
  }

  @Test func everyFlippedBitOfADataHeadIsFound() throws {
    let chunk = ChunkHeader(
      offset: 1 << 20, rawLength: 4096, payloadLength: 100, codec: .lz4, digest: Samples.digest)
    let frames: [DataFrame] = [
      .chunk(chunk), .zeroRun(Extent(offset: 0, length: 4096)), .streamEnd(chunks: 1, zeroRuns: 2), .attached,
      .attach(session: Samples.session, ticket: try Samples.ticket), .streamEndAcknowledged,
    ]
    for frame in frames {
      let head = Array(encoded(frame)[..<48])
      for bit in 0..<48 * 8 {
        var wrong = head
        wrong[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(reason { _ = try decodedHead(wrong) } == .malformedHeader)
      }
      for count in 0..<48 { #expect(reason { _ = try decodedHead(Array(head[..<count])) } == .malformedHeader) }
    }
  }

  /// Heads with a right check but random fields: what a hostile peer would send.
  @Test func randomHeadsWithARightCheckNeverCrash() {
    var random = SplitMix(seed: 13)
    for _ in 0..<40000 {
      var head = random.bytes(48)
      (head[0], head[1], head[2]) = (0x52, 0x44, UInt8(random.below(9)))
      if random.chance(80) { (head[3], head[41], head[42], head[43]) = (0, 0, 0, 0) }
      if random.chance(80) { head[40] = UInt8(random.below(3)) }
      if random.chance(50) { head.replaceSubrange(4..<8, with: [UInt8(random.below(64)), 0, 0, 0]) }
      if random.chance(50) { head.replaceSubrange(16..<24, with: [0, 0, UInt8(random.below(16)), 0, 0, 0, 0, 0]) }
      decodeData(withCheck(head))
    }
  }

  @Test func randomPayloadsNeverDecompressOutOfBounds() {
    var random = SplitMix(seed: 14)
    for _ in 0..<3000 {
      let payload = random.bytes(1 + random.below(300))
      let header = ChunkHeader(
        offset: 0, rawLength: UInt32(1 + random.below(5000)), payloadLength: UInt32(payload.count), codec: .lz4,
        digest: .zero)
      let result = reason { _ = try chunkBytes(header, payload: payload) }
      #expect(result == .badPayload || result == .digestMismatch)
    }
  }
}

/// Puts the right check into a head.
func withCheck(_ head: [UInt8]) -> [UInt8] {
  let digest = head[..<44].withUnsafeBytes { chunkDigest($0) }
  return Array(head[..<44]) + (0..<4).map { UInt8(truncatingIfNeeded: digest.low >> (8 * UInt64($0))) }
}
