import ReplModel

@testable import WireProtocol

/// Random values within the protocol's limits.
struct RandomMessages {
  var random: SplitMix
  init(seed: UInt64) { random = SplitMix(seed: seed) }

  mutating func id<Tag>() -> Identifier<Tag> { .random(using: &random) }
  mutating func sum() -> Fingerprint { Fingerprint(low: random.next(), high: random.next()) }
  mutating func counter() -> UInt64 { random.next() >> UInt64(11 + random.below(50)) }
  mutating func size() -> UInt64 { random.next() >> UInt64(1 + random.below(60)) }
  mutating func instant() -> Timestamp { Timestamp(nanoseconds: Int64(random.next() >> 2)) }
  mutating func optional<Value>(_ value: Value) -> Value? { random.chance(50) ? value : nil }
  mutating func element<Value>(_ values: [Value], _ first: Value) -> Value {
    values.isEmpty ? first : values[random.below(values.count)]
  }

  mutating func text(_ limit: Int) -> String {
    let letters = ["a", "Z", "0", "-", ".", "ü", "漢", "🙂", " ", "\n"]
    var text = ""
    for _ in 0..<random.below(20) {
      let next = letters[random.below(letters.count)]
      if text.utf8.count + next.utf8.count <= limit { text += next }
    }
    return text
  }

  mutating func name() -> String { letters("abcxyz019-.", 200) }
  mutating func clusterID() -> String { letters("abcXYZ019-._", 60) }
  mutating func host() -> String { letters("abcXYZ019-._:%", 200) }

  /// At least two of the letters, a letter or digit at both ends.
  private mutating func letters(_ allowed: String, _ limit: Int) -> String {
    let allowed = Array(allowed)
    let inner = (0..<random.below(limit - 1)).map { _ in allowed[random.below(allowed.count)] }
    return "n" + String(inner) + "0"
  }
  mutating func branch() -> Branch { Branch(epoch: counter(), id: id()) }

  mutating func segments(_ limit: Int) -> [UInt64] {
    var next: UInt64 = 0
    return (0..<random.below(limit)).map { _ in
      next += 1 + UInt64(random.below(1000))
      return next
    }
  }

  mutating func sums() -> [SegmentSum] {
    segments(30).map { SegmentSum(segment: $0, sum: Fingerprint(low: $0, high: ~$0)) }
  }

  mutating func members() -> [GroupMember] {
    let ids: [VolumeID] = (0..<random.below(5)).map { _ in id() }
    return ids.sorted().map { GroupMember(volume: $0, size: size(), missingReason: optional(text(100))) }
  }

  mutating func seal() -> Seal {
    let size = size()
    return Seal(
      point: id(), volume: id(), lineage: id(), branch: branch(), base: optional(id()), generation: counter(),
      size: size, fingerprint: sum(), nonZeroBlocks: (size + 4095) / 4096, takenAt: instant(),
      consistency: element(Consistency.allCases, .volume), proof: element(Proof.allCases, .full), group: id(),
      members: members())
  }

  mutating func error() -> ReplError {
    ReplError(
      element(ReplError.Kind.allCases, .io), subject: text(100), cause: text(100), remedy: optional(text(100)))
  }

  mutating func hello() -> Hello {
    Hello(
      major: Hello.protocolMajor, minor: UInt16(random.below(65536)), features: random.next(), clusterID: clusterID(),
      node: host(),
      software: text(100), maxChunk: UInt32(random.below(1 << 30)), codecs: UInt32(random.below(1 << 30)))
  }

  mutating func begin() -> BeginSession {
    let key = FingerprintKey.random(using: &random)
    let candidates = (0..<random.below(5)).map { _ in
      BaseCandidate(point: id(), fingerprint: sum(), sumsOnly: random.chance(20))
    }
    return BeginSession(
      session: id(), volume: id(), namespace: name(), name: name(), lineage: id(), key: optional(key),
      branch: branch(), snapshot: id(), generation: counter(), size: size(), takenAt: instant(),
      consistency: element(Consistency.allCases, .volume), kind: element([.delta, .full, .repair], .full),
      candidates: candidates, group: id(), members: members(), acceptShrink: random.chance(50),
      streams: UInt16(1 + random.below(64)))
  }

  mutating func outcome() -> BeginOutcome {
    switch random.below(6) {
    case 0: .base(id())
    case 1: .compareWith(id())
    case 2: .full(reason: text(400))
    case 3: .alreadySealed(seal())
    case 4: .proving(seal())
    default: .prepared(seal())
    }
  }

  mutating func beginReply() -> BeginReply {
    let tickets = (0..<random.below(9)).compactMap { _ in StreamTicket(bytes: random.bytes(32)) }
    return BeginReply(
      outcome: outcome(), dataAddress: random.chance(30) ? "" : host(), dataPort: UInt16(random.below(65536)),
      maxChunk: 65536 << UInt32(random.below(5)), tickets: tickets)
  }

  mutating func extents() -> [Extent] {
    var next: UInt64 = 0
    return (0..<random.below(40)).map { _ in
      let extent = Extent(offset: next + UInt64(random.below(5)) * 4096, length: 4096 * UInt64(1 + random.below(9)))
      next = extent.end
      return extent
    }
  }

  mutating func pointSummary() -> PointSummary {
    PointSummary(
      point: id(), generation: counter(), size: size(), fingerprint: sum(), takenAt: instant(),
      state: element(PointState.allCases, .sealed), damagedSegments: segments(10))
  }

  mutating func request(_ number: Int) -> ControlRequest {
    switch number % 17 {
    case 0: .hello(hello())
    case 1: .heartbeat(Heartbeat(sentAt: instant()))
    case 2: .inventory(InventoryRequest(volume: id()))
    case 3: .beginSession(begin())
    case 4:
      .startSession(
        StartSession(
          session: id(), base: optional(id()), kind: element(SessionKind.allCases, .full), planDigest: sum(),
          plannedBytes: size()))
    case 5: .resumeExtents(ResumeExtentsRequest(session: id(), offset: size()))
    case 6:
      .segmentSums(
        SegmentSumsRequest(
          volume: id(), point: id(), firstSegment: size() >> 20, count: UInt32(1 + random.below(4096))))
    case 7: .sealSession(SealSession(session: id(), seal: seal()))
    case 8: .commitGroup(CommitGroup(group: id()))
    case 9: .confirmGroup(ConfirmGroup(group: id()))
    case 10: .abortSession(AbortSession(session: id(), discard: random.chance(50)))
    case 11: .queryPoint(QueryPoint(volume: id(), point: id()))
    case 12: .verifyPoint(VerifyPoint(volume: id(), point: id(), quick: random.chance(50)))
    case 13: .unpair(Unpair())
    case 14: .sendDocument(documentPart())
    case 15: .fetchAnswer(AnswerRequest(exchange: id(), index: UInt16(1 + random.below(65_535))))
    default:
      .volumeNotice(
        VolumeNotice(
          volume: id(),
          content: random.chance(30) ? .deleted : .doubted(after: counter(), reason: text(WireLimits.reason))))
    }
  }

  mutating func reply(_ number: Int) -> ControlReply {
    switch number % 18 {
    case 0: .hello(hello())
    case 1:
      .heartbeat(
        HeartbeatReply(
          sentAt: instant(), receivedAt: instant(), repliedAt: instant(), repairWanted: random.chance(50)))
    case 2: .inventory(InventoryReply(points: (0..<random.below(6)).map { _ in pointSummary() }))
    case 3: .beginSession(beginReply())
    case 4: .startSession(StartReply(durableBytes: size()))
    case 5: .resumeExtents(ResumeExtentsReply(extents: extents()))
    case 6: .segmentSums(SegmentSumsReply(sums: sums()))
    case 7: .sealSession(random.chance(30) ? .prepared : .mismatch(sums: sums(), final: random.chance(50)))
    case 8: .commitGroup(CommitReply(sealedAt: instant(), points: (0..<random.below(5)).map { _ in id() }))
    case 9: .confirmGroup
    case 10: .abortSession
    case 11: .queryPoint(queryReply())
    case 12:
      .verifyPoint(
        VerifyReply(
          seal: seal(), computed: optional(sum()), bytesRead: size(), damagedSegments: segments(20),
          state: element(PointState.allCases, .sealed)))
    case 13: .unpair
    case 14: .sendDocument(random.chance(30) ? .taken : .answer(answerPart()))
    case 15: .fetchAnswer(answerPart())
    case 16: .volumeNotice
    default: .refused(error())
    }
  }

  /// Mostly a short document of one part, sometimes the short end of a longer one.
  private mutating func part() -> (total: UInt32, index: UInt16, bytes: [UInt8]) {
    let bytes = random.bytes(random.below(300) + 1)
    let index = random.chance(30) ? 1 + random.below(15) : 0
    return (UInt32(index * WireLimits.documentPart + bytes.count), UInt16(index), bytes)
  }

  private mutating func documentPart() -> DocumentPart {
    let part = part()
    return DocumentPart(
      exchange: id(), topic: letters("abc019-.", 60), total: part.total, index: part.index, bytes: part.bytes)
  }

  private mutating func answerPart() -> AnswerPart {
    let part = part()
    return AnswerPart(total: part.total, index: part.index, bytes: part.bytes)
  }

  private mutating func queryReply() -> QueryPointReply {
    switch random.below(3) {
    case 0: .unknown
    case 1: .prepared(seal())
    default: .sealed(seal(), state: element(PointState.allCases, .sealed))
    }
  }
}
