import ReplModel
import Testing

@testable import WireProtocol

@Suite("Session at the source")
struct SenderSessionTests {
  private let cut = ReplError(.transient, subject: "peer", cause: "connection reset")
  private let plan = StartSession(
    session: Samples.session, base: Samples.base, kind: .delta, planDigest: Samples.digest, plannedBytes: 8192)

  private func begun(_ outcome: BeginOutcome, _ change: (inout BeginSession) -> Void = { _ in }) -> (
    SenderSession, SenderSession.Effect
  ) {
    var begin = Samples.begin
    change(&begin)
    var session = SenderSession(begin: begin, key: nil)
    #expect(session.start() == .sendBegin(begin))
    let effect = session.receive(.beginSession(Samples.beginReply(outcome)))
    return (session, effect)
  }

  /// A session that has sent everything and its seal.
  private func sealing() -> SenderSession {
    var (session, _) = begun(.base(Samples.base))
    _ = session.planned(plan)
    _ = session.receive(.startSession(StartReply(durableBytes: 0)))
    #expect(session.shipped(Samples.seal) == .sendSeal(Samples.seal))
    return session
  }

  private func isViolation(_ effect: SenderSession.Effect) -> Bool {
    guard case .fail(let error, let retry) = effect else { return false }
    return error.kind == .protocolViolation && !retry
  }

  @Test func aSessionGoesFromBeginToPrepared() {
    var (session, effect) = begun(.base(Samples.base))
    #expect(effect == .makePlan(base: Samples.begin.candidates[0], reason: nil))
    #expect(session.planned(plan) == .sendStart(plan))
    #expect(session.receive(.startSession(StartReply(durableBytes: 0))) == .ship)
    #expect(session.shipped(Samples.seal) == .sendSeal(Samples.seal))
    #expect(session.receive(.sealSession(.prepared)) == .memberPrepared(Samples.seal))
    #expect(session.phase == .prepared)
  }

  @Test func everyOutcomeOfBeginHasItsEffect() {
    #expect(begun(.full(reason: "no base")).1 == .makePlan(base: nil, reason: "no base"))
    #expect(begun(.compareWith(Samples.base)).1 == .compare(with: Samples.base))
    #expect(begun(.alreadySealed(Samples.seal)).1 == .recordSealed(Samples.seal))
    #expect(begun(.prepared(Samples.seal)).1 == .memberPrepared(Samples.seal))
  }

  @Test func comparisonLeadsToAPlan() {
    var (session, _) = begun(.compareWith(Samples.base))
    #expect(session.planned(plan) == .sendStart(plan))
  }

  @Test func answersNobodyAskedForEndTheSession() {
    #expect(isViolation(begun(.base(Samples.id(0x99))).1), "a base that was not offered")
    #expect(isViolation(begun(.base(Samples.base)) { $0.kind = .full }.1))
    #expect(isViolation(begun(.compareWith(Samples.base)) { $0.kind = .full }.1))
    var other = Samples.seal
    other.point = Samples.id(0x99)
    #expect(isViolation(begun(.alreadySealed(other)).1))
    #expect(isViolation(begun(.prepared(other)).1))
    var (session, _) = begun(.base(Samples.base))
    #expect(isViolation(session.receive(.sealSession(.prepared))))
    #expect(session.phase == .ended)
  }

  @Test func repairIsPlannedAgainstThePointItself() {
    let effect = begun(.base(Samples.point)) {
      $0.kind = .repair
      $0.candidates = []
    }.1
    #expect(effect == .makePlan(base: nil, reason: nil))
  }

  @Test func durableExtentsAreFetchedPageByPage() {
    var (session, _) = begun(.base(Samples.base))
    _ = session.planned(plan)
    #expect(session.receive(.startSession(StartReply(durableBytes: 4096))) == .fetchResume(from: 0))
    let page = ResumeExtentsReply(extents: [Extent(offset: 0, length: 4096)])
    #expect(session.receive(.resumeExtents(page)) == .fetchResume(from: 4096))
    var copy = session
    #expect(isViolation(copy.receive(.resumeExtents(page))), "a page must go forward")
    copy = session
    let beyond = ResumeExtentsReply(extents: [Extent(offset: 4096, length: 4096)])
    #expect(isViolation(copy.receive(.resumeExtents(beyond))), "beyond the volume")
    #expect(session.receive(.resumeExtents(ResumeExtentsReply(extents: []))) == .ship)
  }

  @Test func theKeyIsSentOnceWhenAskedFor() throws {
    let needed = ControlReply.refused(ReplError(.keyNeeded, subject: "v", cause: "c"))
    let key = try Samples.key
    var session = SenderSession(begin: Samples.begin, key: key)
    _ = session.start()
    guard case .sendBegin(let again) = session.receive(needed) else { throw Samples.Absent() }
    #expect(again.key == key)
    guard case .fail(let error, _) = session.receive(needed) else { throw Samples.Absent() }
    #expect(error.kind == .keyNeeded)
    var without = SenderSession(begin: Samples.begin, key: nil)
    _ = without.start()
    guard case .fail = without.receive(needed) else { throw Samples.Absent() }
  }

  @Test func theFirstMismatchIsRepairedAndTheSecondIsFinal() {
    let sums = [SegmentSum(segment: 0, sum: Samples.digest)]
    var session = sealing()
    #expect(session.receive(.sealSession(.mismatch(sums: sums, final: false))) == .reshipSegments(sums))
    #expect(
      session.receive(.beginSession(Samples.beginReply(.base(Samples.base)))) == .ship, "new tickets, no new plan")
    #expect(session.shipped(Samples.seal) == .sendSeal(Samples.seal))
    var good = session
    #expect(good.receive(.sealSession(.prepared)) == .memberPrepared(Samples.seal))
    guard case .fail(let error, retry: true) = session.receive(.sealSession(.mismatch(sums: sums, final: false))) else {
      Issue.record("a third try")
      return
    }
    #expect(error.kind == .damaged)
    var final = sealing()
    guard case .fail(_, retry: true) = final.receive(.sealSession(.mismatch(sums: sums, final: true))) else {
      Issue.record("a try after the final mismatch")
      return
    }
  }

  @Test(arguments: ["beginning", "planning", "starting", "shipping"])
  func aCutBeforeTheSealIsTriedAgain(phase: String) {
    var session = SenderSession(begin: Samples.begin, key: nil)
    _ = session.start()
    if phase != "beginning" { _ = session.receive(.beginSession(Samples.beginReply(.base(Samples.base)))) }
    if phase == "starting" || phase == "shipping" { _ = session.planned(plan) }
    if phase == "shipping" { _ = session.receive(.startSession(StartReply(durableBytes: 0))) }
    #expect(session.phase.rawValue == phase)
    #expect(session.connectionLost(cut) == .fail(cut, retry: true))
  }

  @Test func aCutAfterTheSealIsInDoubtUntilTheTargetSays() {
    let query = QueryPoint(volume: Samples.volume, point: Samples.point)
    var session = sealing()
    #expect(session.connectionLost(cut) == .queryOutcome(query))
    #expect(session.connectionLost(cut) == .queryOutcome(query), "again and again")
    #expect(session.receive(.refused(cut)) == .fail(cut, retry: true))
    #expect(session.phase == .inDoubt, "a refusal tells nothing")
    var sealed = session
    #expect(sealed.receive(.queryPoint(.sealed(Samples.seal, state: .sealed))) == .recordSealed(Samples.seal))
    var prepared = session
    #expect(prepared.receive(.queryPoint(.prepared(Samples.seal))) == .memberPrepared(Samples.seal))
    var other = session
    #expect(isViolation(other.receive(.queryPoint(.prepared(Samples.fullSeal)))), "another seal than ours")
    guard case .fail(let error, retry: true) = session.receive(.queryPoint(.unknown)) else {
      Issue.record("unknown is tried again")
      return
    }
    #expect(error.kind == .transient)
  }

  @Test func refusalsAreRetriedByTheirKind() {
    for kind in ReplError.Kind.allCases where kind != .keyNeeded {
      var (session, _) = begun(.base(Samples.base))
      let error = ReplError(kind, subject: "s", cause: "c")
      let retry = [.transient, .noSpace, .damaged].contains(kind)
      #expect(session.receive(.refused(error)) == .fail(error, retry: retry))
      #expect(session.phase == .ended)
    }
  }

  @Test func callsOutOfOrderEndTheSession() {
    var session = SenderSession(begin: Samples.begin, key: nil)
    #expect(isViolation(session.planned(plan)))
    session = SenderSession(begin: Samples.begin, key: nil)
    #expect(isViolation(session.shipped(Samples.seal)))
    session = SenderSession(begin: Samples.begin, key: nil)
    _ = session.start()
    #expect(isViolation(session.start()))
  }
}
