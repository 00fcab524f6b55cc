import ReplModel
import Testing

@testable import WireProtocol

@Suite("Values beyond a limit are malformed")
struct LimitTests {
  private func isMalformed(_ request: ControlRequest) -> Bool {
    let (type, body) = request.encode()
    return reason { _ = try ControlRequest(type: type, body: body) } == .malformedBody
  }

  private func isMalformedReply(_ reply: ControlReply) throws -> Bool {
    let (flags, body) = reply.encode()
    let type = try Samples.required(reply.frameType).rawValue
    return reason { _ = try ControlReply(type: type, body: body, flags: flags) } == .malformedBody
  }

  @Test func numbersThatOverflowLaterAreRefused() throws {
    var begin = Samples.begin
    begin.size = 1 << 63
    #expect(isMalformed(.beginSession(begin)))
    begin = Samples.begin
    begin.generation = .max
    #expect(isMalformed(.beginSession(begin)))
    begin = Samples.begin
    begin.branch.epoch = .max
    #expect(isMalformed(.beginSession(begin)))
    for instant in [-1, Int64.min, .max] {
      #expect(isMalformed(.heartbeat(Heartbeat(sentAt: Timestamp(nanoseconds: instant)))))
    }
    #expect(try isMalformedReply(.startSession(StartReply(durableBytes: .max))))
  }

  @Test func namesAreBoundedAndNotEmpty() {
    for name in ["", String(repeating: "a", count: 254)] {
      var begin = Samples.begin
      begin.name = name
      #expect(isMalformed(.beginSession(begin)))
      #expect(isMalformed(.hello(Samples.hello(cluster: name))))
    }
  }

  /// They become directories, keys and lines of logs.
  @Test(arguments: ["..", ".a", "a/b", "a\0", "a\u{1B}[2J", "a\n", "ü", " ", "a b", "-", "A"])
  func namesAreSafe(name: String) throws {
    var begin = Samples.begin
    begin.name = name
    #expect(isMalformed(.beginSession(begin)))
    begin = Samples.begin
    begin.namespace = name
    #expect(isMalformed(.beginSession(begin)))
    if !["A", "-"].contains(name) { #expect(isMalformed(.hello(Samples.hello(cluster: name)))) }
    guard !["A", "-", "..", ".a"].contains(name) else { return }
    #expect(try isMalformedReply(.beginSession(Samples.beginReply(.full(reason: ""), address: name))))
  }

  @Test func controlCharactersOfAPeerReachNoTerminal() throws {
    let words = ReplError(.io, subject: "a\u{1B}[2Jb", cause: "c\r\u{202E}d\ne", remedy: "\u{7}")
    let refusal = ControlReply.refused(words).encode()
    guard case .refused(let read) = try ControlReply(type: 4, body: refusal.body, flags: refusal.flags) else {
      throw Samples.Absent()
    }
    #expect(read.subject == "a\u{FFFD}[2Jb")
    #expect(read.cause == "c\u{FFFD}\u{FFFD}d\ne")
    #expect(read.remedy == "\u{FFFD}")
  }

  /// With a generation of 2^62 a volume could not replicate to anybody any more.
  @Test func generationsAndEpochsLeaveRoomToCountOn() throws {
    for value in [WireLimits.counter + 1, 1 << 62, .max] {
      var begin = Samples.begin
      begin.generation = value
      #expect(isMalformed(.beginSession(begin)))
      begin = Samples.begin
      begin.branch.epoch = value
      #expect(isMalformed(.beginSession(begin)))
      var seal = Samples.seal
      seal.generation = value
      #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
      seal = Samples.seal
      seal.branch.epoch = value
      #expect(try isMalformedReply(.queryPoint(.prepared(seal))))
    }
  }

  @Test func sumsAreOfWhatWasAskedFor() throws {
    let request = SegmentSumsRequest(
      volume: Samples.seal.volume, point: Samples.seal.point, firstSegment: 5, count: 3)
    let sums = { (segment: UInt64) in SegmentSumsReply(sums: [SegmentSum(segment: segment, sum: .zero)]) }
    for segment in [5, 7] as [UInt64] { try sums(segment).check(request) }
    for segment in [4, 8] as [UInt64] { #expect(reason { try sums(segment).check(request) } == .malformedBody) }
  }

  @Test func extentsAscendAndEndInAVolume() throws {
    let page = Extent(offset: 8192, length: 4096)
    let wrong = [
      [Extent(offset: 0, length: 0)], [page, page], [page, Extent(offset: 0, length: 4096)],
      [Extent(offset: UInt64(Int64.max) - 1, length: 4096)], [Extent(offset: 1, length: 4096)],
      [Extent(offset: 4095, length: 4097)],
      [Extent(offset: 0, length: 100), Extent(offset: 4096, length: 4096)],
    ]
    for extents in wrong { #expect(try isMalformedReply(.resumeExtents(ResumeExtentsReply(extents: extents)))) }
  }

  @Test func segmentsAscend() throws {
    let sum = SegmentSum(segment: 3, sum: .zero)
    #expect(try isMalformedReply(.segmentSums(SegmentSumsReply(sums: [sum, sum]))))
    #expect(try isMalformedReply(.segmentSums(SegmentSumsReply(sums: [SegmentSum(segment: 1 << 50, sum: .zero)]))))
    #expect(try isMalformedReply(.sealSession(.mismatch(sums: [sum, sum], final: true))))
  }

  @Test func sealsAreChecked() throws {
    var seal = Samples.seal
    seal.members = seal.members.reversed()
    #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
    seal = Samples.seal
    seal.members.append(seal.members[1])
    #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
    seal = Samples.seal
    seal.nonZeroBlocks = 3
    #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
    seal = Samples.seal
    seal.takenAt = Timestamp(nanoseconds: .min)
    #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
    seal = Samples.seal
    seal.members[0].size = .max
    #expect(isMalformed(.sealSession(SealSession(session: Samples.session, seal: seal))))
  }

  @Test func chunkSizesInAnAnswerArePowersOfTwo() throws {
    for size: UInt32 in [0, 65535, 65537, 98304, 1 << 21] {
      #expect(try isMalformedReply(.beginSession(Samples.beginReply(.base(Samples.base), maxChunk: size))))
    }
  }

  @Test func documentsAreBoundedAndCutWhereTheyMustBe() throws {
    func part(_ total: Int, _ index: UInt16, _ count: Int, topic: String = "t") -> ControlRequest {
      .sendDocument(
        DocumentPart(
          exchange: Samples.exchange, topic: topic, total: UInt32(total), index: index,
          bytes: [UInt8](repeating: 7, count: count)))
    }
    let whole = WireLimits.documentPart
    for good in [part(0, 0, 0), part(whole, 0, whole), part(whole + 1, 1, 1), part(WireLimits.document, 15, whole)] {
      #expect(!isMalformed(good))
    }
    for topic in ["", String(repeating: "t", count: 65)] { #expect(isMalformed(part(1, 0, 1, topic: topic))) }
    let wrong = [
      part(WireLimits.document + 1, 0, whole), part(1, 1, 0), part(whole, 1, 0), part(2, 0, 1), part(1, 0, 2),
      part(whole * 2, 0, whole - 1), part(WireLimits.document, 16, 0),
    ]
    for request in wrong { #expect(isMalformed(request)) }
    #expect(isMalformed(.fetchAnswer(AnswerRequest(exchange: Samples.exchange, index: 0))))
    #expect(try isMalformedReply(.fetchAnswer(AnswerPart(total: 3, index: 0, bytes: [1]))))
  }

  @Test func countsOfPagesAreBounded() {
    for count: UInt32 in [0, 4097] {
      let request = SegmentSumsRequest(volume: Samples.volume, point: Samples.point, firstSegment: 0, count: count)
      #expect(isMalformed(.segmentSums(request)))
    }
    var begin = Samples.begin
    begin.streams = 0
    #expect(isMalformed(.beginSession(begin)))
  }
}
