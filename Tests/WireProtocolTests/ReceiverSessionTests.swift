import ReplModel
import Testing

@testable import WireProtocol

@Suite("Session at the target")
struct ReceiverSessionTests {
  private static let plan = StartSession(
    session: Samples.session, base: Samples.base, kind: .delta, planDigest: Samples.digest, plannedBytes: 8192)

  /// Events that lead to each phase.
  private static let paths: [ReceiverSession.Phase: [ReceiverSession.Event]] = {
    let streaming: [ReceiverSession.Event] = [.start(plan)]
    let sealing = streaming + [.streamOpened, .chunk, .streamEnded(chunks: 1, zeroRuns: 0), .seal(Samples.seal)]
    let prepared = sealing + [.proofDone(equal: true)]
    return [
      .begun: [], .streaming: streaming, .sealing: sealing, .repairing: sealing + [.proofDone(equal: false)],
      .prepared: prepared, .committed: prepared + [.commit], .confirmed: prepared + [.commit, .confirm],
      .ended: [.abort],
    ]
  }()

  private func session(in phase: ReceiverSession.Phase) throws -> ReceiverSession {
    var session = ReceiverSession(Samples.begin)
    for event in try Samples.required(Self.paths[phase]) { try session.accept(event) }
    #expect(session.phase == phase)
    return session
  }

  /// Where each event leads from each phase; what is not in the list is refused.
  private static let table: [(String, ReceiverSession.Event, [ReceiverSession.Phase: ReceiverSession.Phase])] = [
    (
      "begin", .begin(Samples.begin),
      [
        .begun: .begun, .streaming: .begun, .repairing: .repairing, .prepared: .prepared, .committed: .committed,
        .confirmed: .confirmed,
      ]
    ),
    ("start", .start(plan), [.begun: .streaming, .repairing: .streaming]),
    ("resumeExtents", .resumeExtents, [.streaming: .streaming]),
    ("streamOpened", .streamOpened, [.streaming: .streaming, .repairing: .repairing]),
    ("chunk without a stream", .chunk, [:]),
    ("zeroRun without a stream", .zeroRun, [:]),
    ("streamEnded without a stream", .streamEnded(chunks: 0, zeroRuns: 0), [:]),
    ("streamLost without a stream", .streamLost, [:]),
    (
      "seal", .seal(Samples.seal),
      [
        .streaming: .sealing, .repairing: .sealing, .prepared: .prepared, .committed: .committed,
        .confirmed: .confirmed,
      ]
    ),
    ("proof equal", .proofDone(equal: true), [.sealing: .prepared]),
    ("proof unequal", .proofDone(equal: false), [.sealing: .repairing]),
    ("commit", .commit, [.prepared: .committed, .committed: .committed, .confirmed: .confirmed]),
    ("confirm", .confirm, [.committed: .confirmed, .confirmed: .confirmed]),
    (
      "abort", .abort,
      [
        .begun: .ended, .streaming: .ended, .sealing: .ended, .repairing: .ended, .prepared: .ended, .ended: .ended,
      ]
    ),
  ]

  @Test(arguments: ReceiverSession.Phase.allCases)
  func everyEventIsLegalOnlyWhereTheTableSays(phase: ReceiverSession.Phase) throws {
    for (name, event, targets) in Self.table {
      var session = try session(in: phase)
      let before = session.phase
      let result = kind { try session.accept(event) }
      if let target = targets[phase] {
        #expect(result == nil, "\(name) while \(phase)")
        #expect(session.phase == target, "\(name) while \(phase)")
      } else {
        #expect(result == .protocolViolation, "\(name) while \(phase)")
        #expect(session.phase == before, "a refusal changes nothing")
      }
    }
  }

  @Test func dataNeedsAnOpenStream() throws {
    var session = try session(in: .streaming)
    try session.accept(.streamOpened)
    try session.accept(.streamOpened)
    try session.accept(.chunk)
    try session.accept(.zeroRun)
    #expect(session.openStreams == 2)
    #expect(kind { try session.accept(.seal(Samples.seal)) } == .protocolViolation, "streams are open")
    try session.accept(.streamLost)
    try session.accept(.streamEnded(chunks: 1, zeroRuns: 1))
    try session.accept(.seal(Samples.seal))
  }

  @Test func theSecondMismatchEndsEvenAfterBeginningAgain() throws {
    var session = try session(in: .repairing)
    #expect(session.nextMismatchIsFinal)
    try session.accept(.begin(Samples.begin))
    try session.accept(.start(Self.plan))
    try session.accept(.seal(Samples.seal))
    try session.accept(.proofDone(equal: false))
    #expect(session.phase == .ended)
  }

  @Test func aProvenPointTakesNoOtherSeal() throws {
    for phase in [ReceiverSession.Phase.prepared, .committed, .confirmed] {
      var session = try session(in: phase)
      #expect(kind { try session.accept(.seal(Samples.fullSeal)) } == .protocolViolation)
    }
  }

  @Test func anotherSnapshotOrSessionIsRefused() throws {
    var session = try session(in: .streaming)
    var begin = Samples.begin
    begin.snapshot = Samples.id(0x99)
    #expect(kind { try session.accept(.begin(begin)) } == .protocolViolation)
    begin = Samples.begin
    begin.session = Samples.id(0x99)
    #expect(kind { try session.accept(.begin(begin)) } == .protocolViolation)
    var seal = Samples.seal
    seal.point = Samples.id(0x99)
    #expect(kind { try session.accept(.seal(seal)) } == .protocolViolation)
    var plan = Self.plan
    plan.session = Samples.id(0x99)
    var begun = try self.session(in: .begun)
    #expect(kind { try begun.accept(.start(plan)) } == .protocolViolation)
  }

  @Test func beginningAgainForgetsOpenStreams() throws {
    var session = try session(in: .streaming)
    try session.accept(.streamOpened)
    try session.accept(.begin(Samples.begin))
    #expect(session.openStreams == 0)
    #expect(session.plan == nil)
  }

  /// Whatever a peer sends in whatever order: never committed without a proof that came out equal.
  @Test func randomEventsNeverCommitWithoutAProof() {
    var random = SplitMix(seed: 21)
    for _ in 0..<500 {
      var session = ReceiverSession(Samples.begin)
      var proven = false
      for _ in 0..<60 {
        let event = Self.table[random.below(Self.table.count)].1
        let before = session.phase
        guard kind({ try session.accept(event) }) == nil else { continue }
        if event == .proofDone(equal: true) { proven = true }
        if session.phase == .committed || session.phase == .confirmed { #expect(proven) }
        if before == .ended { #expect(session.phase == .ended) }
        #expect(session.openStreams >= 0)
      }
    }
  }
}
