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

  @Test func extentsAscendAndEndInAVolume() throws {
    let page = Extent(offset: 8192, length: 4096)
    let wrong = [
      [Extent(offset: 0, length: 0)], [page, page], [page, Extent(offset: 0, length: 4096)],
      [Extent(offset: UInt64(Int64.max) - 1, length: 4096)],
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
