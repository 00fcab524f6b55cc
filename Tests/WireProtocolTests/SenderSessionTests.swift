import ReplModel
import Testing

@testable import WireProtocol

/// What a source does next, by what its target answers.
@Suite("Session at the source")
struct SenderSessionTests {
  private static let seal = Samples.seal
  private static let point = Samples.seal.point

  private static var otherSeal: Seal {
    var seal = Samples.seal
    seal.generation += 1
    return seal
  }

  private func session(
    _ kind: SessionKind = .delta, sent: Seal? = nil, mayPostpone: Bool = false, isOfEarlierVersion: Bool = false
  ) -> SenderSession {
    SenderSession(
      point: Self.point, kind: kind, sent: sent, mayPostpone: mayPostpone, isOfEarlierVersion: isOfEarlierVersion,
      volume: "volume shop/db", peer: "west")
  }

  private func error(_ kind: ReplError.Kind) -> ReplError { ReplError(kind, subject: "test", cause: "failed") }

  @Test(
    "what the target chooses is shipped, proven, and held",
    arguments: [BeginOutcome.base(Samples.base), .compareWith(Samples.base), .full(reason: "no base")])
  func plain(outcome: BeginOutcome) throws {
    var session = session()
    #expect(session.step == .begin)
    try session.begun(outcome)
    #expect(session.step == .ship(outcome))
    session.shipped(Self.seal)
    #expect(session.step == .prove(Self.seal))
    try session.answered(.prepared)
    #expect(session.step == .finished(.prepared(Self.seal)))
  }

  @Test("what was sent before and is held already is not shipped again")
  func held() throws {
    var prepared = session(sent: Self.seal)
    try prepared.begun(.prepared(Self.seal))
    #expect(prepared.step == .finished(.prepared(Self.seal)))
    var sealed = session(sent: Self.seal)
    try sealed.begun(.alreadySealed(Self.seal))
    #expect(sealed.step == .finished(.sealed(Self.seal)))
  }

  @Test("a target that claims to hold what was never sent, or another seal of it, lies")
  func lies() throws {
    for claim in [BeginOutcome.prepared(Self.seal), .alreadySealed(Self.seal)] {
      for sent in [nil, Self.otherSeal] {
        var session = session(sent: sent)
        let error = #expect(throws: ReplError.self) { try session.begun(claim) }
        #expect(error?.kind == .protocolViolation)
        #expect(error?.subject == "peer west")
      }
    }
  }

  @Test("a target that claims to have made a repair before anything was shipped lies, with the right seal too")
  func repairNotMade() throws {
    for claim in [BeginOutcome.prepared(Self.seal), .proving(Self.seal)] {
      var session = session(.repair, sent: Self.seal)
      let error = #expect(throws: ReplError.self) { try session.begun(claim) }
      #expect(error?.kind == .protocolViolation)
    }
    var held = session(.repair, sent: Self.seal)
    try held.begun(.alreadySealed(Self.seal))
    #expect(held.step == .finished(.sealed(Self.seal)), "it was repaired meanwhile")
  }

  @Test("what an earlier version had proven cannot be compared, and is thrown away")
  func earlierVersion() throws {
    var session = session(isOfEarlierVersion: true)
    try session.begun(.prepared(Self.seal))
    guard case .discard(let error) = session.step else { return #expect(Bool(false), "\(session.step)") }
    #expect(session.failed(error, isBaseLost: false, isCancelled: false) == .later)
    #expect(session.step == .begin)
  }

  @Test("a proof that goes on is waited for if it is of what was sent; another one is thrown away")
  func attached() throws {
    var known = session(sent: Self.seal)
    try known.begun(.proving(Self.seal))
    #expect(known.step == .prove(Self.seal) && known.isAttached)
    try known.answered(.prepared)
    #expect(known.step == .finished(.prepared(Self.seal)))
    var unknown = session(sent: Self.otherSeal)
    try unknown.begun(.proving(Self.seal))
    guard case .discard = unknown.step else { return #expect(Bool(false), "\(unknown.step)") }
  }

  @Test("what differs is shipped once more, and what differs then ends the session")
  func mismatch() throws {
    var session = session()
    try session.begun(.base(Samples.base))
    session.shipped(Self.seal)
    try session.answered(.mismatch(sums: [], final: false))
    #expect(session.step == .reship(Self.seal, sums: []))
    session.shipped(Self.seal)
    let error = #expect(throws: ReplError.self) { try session.answered(.mismatch(sums: [], final: false)) }
    #expect(error?.kind == .damaged)
    #expect(session.failed(self.error(.damaged), isBaseLost: false, isCancelled: false) == .none)
  }

  @Test("a mismatch that the target calls final is")
  func finalMismatch() throws {
    var session = session()
    try session.begun(.base(Samples.base))
    session.shipped(Self.seal)
    let error = #expect(throws: ReplError.self) { try session.answered(.mismatch(sums: [], final: true)) }
    #expect(error?.kind == .damaged)
  }

  @Test("what an earlier life has shipped and differs is shipped anew, in another attempt that may differ once")
  func attachedMismatch() throws {
    var session = session(sent: Self.seal)
    try session.begun(.proving(Self.seal))
    let error = #expect(throws: ReplError.self) { try session.answered(.mismatch(sums: [], final: false)) }
    #expect(error?.kind == .transient)
    #expect(session.failed(try #require(error), isBaseLost: false, isCancelled: false) == .later)
    try session.begun(.base(Samples.base))
    session.shipped(Self.seal)
    try session.answered(.mismatch(sums: [], final: false))
    #expect(session.step == .reship(Self.seal, sums: []))
  }

  @Test("the key is sent when the target asks for it, once")
  func key() {
    var session = session()
    #expect(!session.sendsKey)
    #expect(session.failed(error(.keyNeeded), isBaseLost: false, isCancelled: false) == .again)
    #expect(session.sendsKey)
    #expect(session.failed(error(.keyNeeded), isBaseLost: false, isCancelled: false) == .none)
  }

  @Test("a full copy that is only due by the count gives way to a delta where it has no room, once; no other does")
  func postponed() {
    var due = session(.full, mayPostpone: true)
    #expect(due.failed(error(.noSpace), isBaseLost: false, isCancelled: false) == .againAsDelta)
    #expect(due.kind == .delta)
    #expect(due.failed(error(.noSpace), isBaseLost: false, isCancelled: false) == .none)
    var needed = session(.full)
    #expect(needed.failed(error(.noSpace), isBaseLost: false, isCancelled: false) == .none)
  }

  @Test("what is tried again: a network that failed, a base that was lost, a connection that was not closed by us")
  func recovery() {
    var session = session()
    for kind in ReplError.Kind.allCases where kind != .keyNeeded {
      let passes = kind == .transient || kind == .cancelled
      #expect(
        session.failed(error(kind), isBaseLost: false, isCancelled: false) == (passes ? .later : .none), "\(kind)")
      #expect(session.failed(error(kind), isBaseLost: true, isCancelled: false) == .again, "\(kind)")
      #expect(
        session.failed(error(kind), isBaseLost: false, isCancelled: true) == (kind == .transient ? .later : .none),
        "\(kind)")
    }
  }

  @Test("an answer to a seal that was not sent is a defect of this program")
  func outOfOrder() {
    var session = session()
    let error = #expect(throws: ReplError.self) { try session.answered(.prepared) }
    #expect(error?.kind == .bug)
  }
}
