import ReplModel

@testable import WireProtocol

/// Every vector of the page that is a control frame, built by the encoder under test.
enum NamedFrames {
  static let requestID: UInt32 = 7

  static func requests() throws -> [String: ControlRequest] {
    var withKey = Samples.begin
    (withKey.key, withKey.kind, withKey.candidates) = (try Samples.key, .full, [])
    return [
      "hello": .hello(Samples.hello()),
      "heartbeat": .heartbeat(Heartbeat(sentAt: Samples.taken)),
      "inventory": .inventory(InventoryRequest(volume: Samples.volume)),
      "begin": .beginSession(Samples.begin),
      "begin-with-key": .beginSession(withKey),
      "start": .startSession(
        StartSession(
          session: Samples.session, base: Samples.base, kind: .delta, planDigest: Samples.digest,
          plannedBytes: 8192, dataBytes: 4096)),
      "resume-extents": .resumeExtents(ResumeExtentsRequest(session: Samples.session, offset: 0)),
      "segment-sums": .segmentSums(
        SegmentSumsRequest(volume: Samples.volume, point: Samples.base, firstSegment: 0, count: 4096)),
      "seal-session": .sealSession(SealSession(session: Samples.session, seal: Samples.seal)),
      "commit-group": .commitGroup(CommitGroup(group: Samples.group)),
      "confirm-group": .confirmGroup(ConfirmGroup(group: Samples.group)),
      "abort-session": .abortSession(AbortSession(session: Samples.session, discard: true)),
      "query-point": .queryPoint(QueryPoint(volume: Samples.volume, point: Samples.point)),
      "verify-point": .verifyPoint(VerifyPoint(volume: Samples.volume, point: Samples.point, quick: false)),
      "unpair": .unpair(Unpair()),
      "send-document": .sendDocument(
        DocumentPart(
          exchange: Samples.exchange, topic: "resources", total: 13, index: 0, bytes: Array(#"{"version":1}"#.utf8))),
      "fetch-answer": .fetchAnswer(AnswerRequest(exchange: Samples.exchange, index: 1)),
      "volume-notice-deleted": .volumeNotice(VolumeNotice(volume: Samples.volume, content: .deleted)),
      "volume-notice-doubted": .volumeNotice(
        VolumeNotice(volume: Samples.volume, content: .doubted(after: 41, reason: "segment 3 differs"))),
    ]
  }

  static func replies() throws -> [String: ControlReply] {
    let taken = Samples.taken.nanoseconds
    let heartbeat = HeartbeatReply(
      sentAt: Samples.taken, receivedAt: Timestamp(nanoseconds: taken + 1_000_000),
      repliedAt: Timestamp(nanoseconds: taken + 1_500_000), repairWanted: true)
    let summary = PointSummary(
      point: Samples.point, generation: 7, size: 5000, fingerprint: Samples.digest, takenAt: Samples.taken,
      state: .suspect, damagedSegments: [3, 9])
    let sums = [SegmentSum(segment: 0, sum: Samples.digest)]
    let hello = Samples.hello(cluster: "west", node: "node-2", maxChunk: 1 << 18, codecs: 1)
    return try sessionReplies().merging([
      "hello-reply": .hello(hello),
      "heartbeat-reply": .heartbeat(heartbeat),
      "inventory-reply": .inventory(InventoryReply(points: [summary])),
      "segment-sums-reply": .segmentSums(SegmentSumsReply(sums: sums)),
      "seal-session-reply-prepared": .sealSession(.prepared),
      "seal-session-reply-mismatch": .sealSession(.mismatch(sums: sums, final: false)),
      "commit-group-reply": .commitGroup(CommitReply(sealedAt: Samples.taken, points: [Samples.point])),
      "confirm-group-reply": .confirmGroup,
      "abort-session-reply": .abortSession,
      "query-point-reply-unknown": .queryPoint(.unknown),
      "query-point-reply-prepared": .queryPoint(.prepared(Samples.fullSeal)),
      "query-point-reply-sealed": .queryPoint(.sealed(Samples.fullSeal, state: .sealed)),
      "verify-point-reply": .verifyPoint(
        VerifyReply(
          seal: Samples.fullSeal, computed: Samples.digest, bytesRead: 5000, damagedSegments: [0], state: .suspect)),
      "unpair-reply": .unpair,
      "send-document-reply-taken": .sendDocument(.taken),
      "send-document-reply-answer": .sendDocument(.answer(AnswerPart(total: 2, index: 0, bytes: Array("{}".utf8)))),
      "fetch-answer-reply": .fetchAnswer(
        AnswerPart(total: UInt32(WireLimits.documentPart) + 3, index: 1, bytes: Array("\"}}".utf8))),
      "volume-notice-reply": .volumeNotice,
    ]) { first, _ in first }
  }

  private static func sessionReplies() throws -> [String: ControlReply] {
    let ticket = try Samples.ticket
    return [
      "begin-reply-base": .beginSession(
        Samples.beginReply(.base(Samples.base), maxChunk: 1 << 18, tickets: [ticket])),
      "begin-reply-compare": .beginSession(
        Samples.beginReply(.compareWith(Samples.base), address: "192.0.2.7", maxChunk: 1 << 18)),
      "begin-reply-full": .beginSession(
        Samples.beginReply(.full(reason: "no common base"), tickets: [ticket])),
      "begin-reply-sealed": .beginSession(Samples.beginReply(.alreadySealed(Samples.fullSeal))),
      "begin-reply-prepared": .beginSession(Samples.beginReply(.prepared(Samples.fullSeal))),
      "begin-reply-proving": .beginSession(Samples.beginReply(.proving(Samples.fullSeal))),
      "start-reply": .startSession(StartReply(durableBytes: 4096)),
      "resume-extents-reply": .resumeExtents(ResumeExtentsReply(extents: [Extent(offset: 0, length: 4096)])),
    ]
  }

  static let underWay = ControlReply.underWay(UnderWay(bytesDone: 1 << 30, bytesTotal: 1 << 32))

  static let refusal = ReplError(
    .keyNeeded, subject: "volume shop/db", cause: "the key is not known here", remedy: "begin again")

  static func frame(_ type: UInt16, _ flags: ControlFrameHeader.Flags, _ body: [UInt8], id: UInt32 = requestID)
    -> [UInt8]
  {
    ControlFrameHeader(type: type, flags: flags, length: UInt32(body.count), requestID: id).encode() + body
  }
}
