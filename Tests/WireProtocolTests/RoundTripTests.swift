import ReplModel
import Testing

@testable import WireProtocol

@Suite("Messages survive the wire")
struct RoundTripTests {
  @Test func randomRequestsRoundTrip() throws {
    var messages = RandomMessages(seed: 1)
    for number in 0..<4000 {
      let request = messages.request(number)
      let (type, body) = request.encode()
      #expect(body.count <= Int(FrameType.bodyLimit(type: type, flags: [])))
      #expect(try ControlRequest(type: type, body: body) == request)
    }
  }

  @Test func randomRepliesRoundTrip() throws {
    var messages = RandomMessages(seed: 2)
    for number in 0..<4000 {
      let reply = messages.reply(number)
      let (flags, body) = reply.encode()
      let type = reply.frameType?.rawValue ?? 4
      #expect(body.count <= Int(FrameType.bodyLimit(type: type, flags: flags)))
      #expect(try ControlReply(type: type, body: body, flags: flags) == reply)
    }
  }

  @Test func largestMessagesFitTheirLimits() throws {
    let points = (0..<2000).map { number in
      PointSummary(
        point: PointID(high: 1, low: UInt64(number)), generation: 1, size: 1, fingerprint: .zero,
        takenAt: Samples.taken,
        state: .sealed, damagedSegments: (0..<5000).map { UInt64($0) })
    }
    try fits(.inventory(InventoryReply(points: points)))
    let sums = (0..<70000).map { SegmentSum(segment: UInt64($0), sum: .zero) }
    try fits(.sealSession(.mismatch(sums: sums, final: false)))
    try fits(.segmentSums(SegmentSumsReply(sums: Array(sums[..<5000]))))
    let extents = (0..<5000).map { Extent(offset: UInt64($0) * 8192, length: 4096) }
    try fits(.resumeExtents(ResumeExtentsReply(extents: extents)))
    let reason = String(repeating: "x", count: 600)
    var seal = Samples.seal
    seal.members = (0..<1024).map { number in
      GroupMember(volume: VolumeID(high: 0, low: UInt64(number)), size: 1, missingReason: reason)
    }
    let damaged = (0..<5000).map { UInt64($0) }
    try fits(
      .verifyPoint(VerifyReply(seal: seal, computed: nil, bytesRead: 1, damagedSegments: damaged, state: .sealed)))
    try fits(.beginSession(Samples.beginReply(.prepared(seal), tickets: Array(repeating: Samples.ticket, count: 90))))
    let ids = (0..<1024).map { PointID(high: 0, low: UInt64($0)) }
    try fits(.commitGroup(CommitReply(sealedAt: Samples.taken, points: ids)))
  }

  /// What is too long is cut to the limit and decodes.
  private func fits(_ reply: ControlReply) throws {
    let (flags, body) = reply.encode()
    let type = try Samples.required(reply.frameType).rawValue
    #expect(body.count <= Int(FrameType.bodyLimit(type: type, flags: flags)))
    _ = try ControlReply(type: type, body: body, flags: flags)
  }

  /// A newer minor version appends fields to a body; an older one reads what it knows.
  @Test func everyBodyMayHaveATail() throws {
    for tail in [[0], [1, 2, 3], [UInt8](repeating: 0xFF, count: 300)] as [[UInt8]] {
      for (name, request) in try NamedFrames.requests() {
        let (type, body) = request.encode()
        #expect(try ControlRequest(type: type, body: body + tail) == request, "\(name)")
      }
      for (name, reply) in try NamedFrames.replies() {
        let (flags, body) = reply.encode()
        let type = try Samples.required(reply.frameType).rawValue
        #expect(try ControlReply(type: type, body: body + tail, flags: flags) == reply, "\(name)")
      }
      let refusal = ControlReply.refused(NamedFrames.refusal)
      let (flags, body) = refusal.encode()
      #expect(try ControlReply(type: 4, body: body + tail, flags: flags) == refusal)
      let notice = CloseNotice(reason: .shuttingDown, error: NamedFrames.refusal)
      #expect(try CloseNotice(bytes: notice.encode() + tail) == notice)
      let proof = PairingRequest.proof(PairProof(proof: Samples.secret, caCertificate: Samples.certificate))
      #expect(try PairingRequest(type: 258, body: proof.encode().body + tail) == proof)
    }
  }

  @Test func helloOfAnotherMajorIsReadAsFarAsItsVersion() throws {
    var writer = ByteWriter()
    writer.write(UInt16(9))
    writer.write(UInt16(5))
    writer.writeRaw([9, 9, 9])
    guard case .hello(let hello) = try ControlRequest(type: 1, body: writer.bytes) else { throw Samples.Absent() }
    #expect(hello.major == 9)
    #expect(hello.minor == 5)
  }

  @Test func messagesOfOtherConnectionsAreOutOfOrder() {
    for type in [FrameType.close, .pairHello, .pairProof] {
      #expect(reason { _ = try ControlRequest(type: type.rawValue, body: []) } == .outOfOrder)
      #expect(reason { _ = try ControlReply(type: type.rawValue, body: [], flags: .reply) } == .outOfOrder)
    }
    #expect(reason { _ = try PairingRequest(type: 1, body: []) } == .outOfOrder)
    #expect(reason { _ = try PairingReply(type: 1, body: [], flags: .reply) } == .outOfOrder)
    #expect(reason { _ = try ControlReply(type: 1, body: [], flags: []) } == .outOfOrder)
    #expect(reason { _ = try ControlRequest(type: 999, body: []) } == .unknownType)
  }
}
