import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// A target that answers what it was not asked: the session ends with a protocol violation, and nothing else does.
@Suite struct LyingTargetTests {
  private func isViolation(_ world: World) -> Bool {
    world.lastReport?.state == .failed && world.lastReport?.reason.contains("peer target: ") == true
  }

  /// What the target says is durable of a volume of 2 MiB.
  static let pages: [[Extent]] = [
    [Extent(offset: 1, length: 4096)],
    [Extent(offset: 0, length: 4097)],
    [Extent(offset: 8192, length: 4096), Extent(offset: 0, length: 4096)],
    [Extent(offset: 0, length: 8192), Extent(offset: 4096, length: 8192)],
    [Extent(offset: 0, length: 4 << 20)],
    [Extent(offset: 2 << 20, length: 4096)],
    [Extent(offset: 1 << 62, length: 4096)],
    [Extent(offset: 0, length: 0)],
  ]

  @Test("pages of durable extents that cannot be end the session, also after a restart", arguments: pages)
  func resume(page: [Extent]) throws {
    let world = try World.written(1)
    world.chunksUntilCut = 9
    world.answer = { request, reply in
      if case .resumeExtents = request { .resumeExtents(ResumeExtentsReply(extents: page)) } else { reply }
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
    world.answer = { $1 }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("a page that does not get on ends the session")
  func standstill() throws {
    let world = try World.written(1)
    world.chunksUntilCut = 9
    world.answer = { request, reply in
      guard case .resumeExtents = request else { return reply }
      return .resumeExtents(ResumeExtentsReply(extents: [Extent(offset: 0, length: 65536)]))
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
  }

  /// Questions after which a target that is still asked has shown that there is no end.
  private static let withoutEnd: UInt64 = 30_000
  private static let enough = ControlReply.refused(ReplError(.refused, subject: "target", cause: "was asked for ever"))

  @Test(
    "work that is for ever under way and creeps by a byte is not waited for without end",
    arguments: [FrameType.beginSession, .startSession])
  func creeping(_ type: FrameType) throws {
    let world = try World.written(1)
    var asked: UInt64 = 0
    world.answer = { request, reply in
      guard request.frameType == type else { return reply }
      asked += 1
      guard asked < Self.withoutEnd else { return Self.enough }
      return .underWay(UnderWay(bytesDone: asked, bytesTotal: 1 << 40))
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(world.lastReport?.reason.contains("has not moved") == true)
    world.answer = { $1 }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("nor is a proof that creeps and, asked again, is still under way")
  func creepingProof() throws {
    let world = try World.written(1)
    var (asked, sent): (UInt64, Seal?) = (0, nil)
    world.answer = { request, reply in
      switch (request, reply) {
      case (.sealSession(let seal), _):
        sent = seal.seal
        asked += 1
        guard asked < Self.withoutEnd else { return Self.enough }
        return .underWay(UnderWay(bytesDone: asked, bytesTotal: 1 << 40))
      case (.beginSession, .beginSession(var answer)):
        if let sent { answer.outcome = .proving(sent) }
        return .beginSession(answer)
      default: return reply
      }
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(world.lastReport?.reason.contains("has not moved") == true)
  }

  @Test(
    "a generation that nobody could have reached is not believed, and the volume replicates on",
    arguments: [
      UInt64(1) << 62, (1 << 62) - 1, 1 << 60, 1 << 40, .max,
    ])
  func generation(_ newest: UInt64) throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    world.answer = { request, reply in
      guard case .inventory = reply else { return reply }
      return .inventory(
        InventoryReply(points: [
          PointSummary(
            point: PointID(high: 1, low: 1), generation: newest, size: 1, fingerprint: .zero,
            takenAt: Timestamp(nanoseconds: 0), state: .sealed, damagedSegments: [])
        ]))
    }
    for _ in 1...2 {
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded)
    }
    #expect(try world.points(world.volumes[0]).map(\.seal.generation) == [3, 2, 1])
  }

  @Test("a target that is plausibly ahead is caught up with")
  func restoredState() throws {
    let world = try World.written(1)
    let volume = world.volumes[0]
    try SnapshotKeeper(context: world.sourceContext).catchUp(volume, with: 1000)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(volume).map(\.seal.generation) == [1001])
  }

  @Test("a volume whose generations are used up says so and what to do")
  func lastGeneration() throws {
    let world = try World.written(1)
    try world.source.database.write {
      try $0.execute(sql: "UPDATE liveVolume SET nextGeneration = ?", arguments: [Int64(WireLimits.counter)])
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(world.lastReport?.reason.contains("no generation left") == true)
  }

  enum Claim: CaseIterable, Sendable { case sealed, prepared }

  private func claim(_ claim: Claim, _ seal: Seal, _ reply: BeginReply) -> ControlReply {
    var claimed = reply
    claimed.outcome = claim == .sealed ? .alreadySealed(seal) : .prepared(seal)
    return .beginSession(claimed)
  }

  private func seal(for begin: BeginSession) -> Seal {
    Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: begin.generation, size: begin.size, fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1,
      takenAt: begin.takenAt, consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
  }

  @Test("a claim to hold what was never shipped is refused", arguments: Claim.allCases)
  func neverShipped(_ kind: Claim) throws {
    let world = try World.written(1)
    world.answer = { [self] request, reply in
      guard case .beginSession(let begin) = request, case .beginSession(let answer) = reply else { return reply }
      return claim(kind, seal(for: begin), answer)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
    #expect(try world.twins().isEmpty)
    world.answer = { $1 }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test(
    "a claim to hold another seal than was sent is refused, also by the next life of the run", arguments: Claim.allCases
  )
  func otherSeal(_ kind: Claim) throws {
    let world = try World.written(1)
    var sent: Seal?
    world.onRequest = { [unowned world] in
      if case .commitGroup = $0 { world.currentRun?.stop() }
      if case .sealSession(let seal) = $0 { sent = seal.seal }
    }
    world.cutBefore = { if case .commitGroup = $0 { true } else { false } }
    #expect(try world.migrate() == nil)
    world.onRequest = { _ in }
    world.cutBefore = { _ in false }
    var other = try #require(sent)
    other.fingerprint = Fingerprint(low: 7, high: 7)
    world.answer = { [self, other] request, reply in
      guard case .beginSession(let answer) = reply else { return reply }
      return claim(kind, other, answer)
    }
    try world.resumeRuns()
    #expect(isViolation(world))
  }

  @Test("a base that was not offered, and a comparison where all is to be copied, are refused")
  func choices() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let stranger = PointID(high: 9, low: 9)
    world.answer = { request, reply in
      guard case .beginSession(var answer) = reply else { return reply }
      answer.outcome = .base(stranger)
      return .beginSession(answer)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
    world.mode = .oneTimeMigration
    world.answer = { request, reply in
      guard case .beginSession(var answer) = reply else { return reply }
      answer.outcome = .compareWith(stranger)
      return .beginSession(answer)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
  }

  @Test("more streams than asked for, chunks of no size and a port of 0 are refused")
  func streams() throws {
    for change: (inout BeginReply) -> Void in [
      { $0.tickets += $0.tickets }, { $0.maxChunk = 0 }, { $0.maxChunk = 65537 }, { $0.maxChunk = 2 << 20 },
      { $0.dataPort = 0 },
    ] {
      let world = try World.written(1)
      let maker = PeerAnswers(peer: "target")
      world.answer = { request, reply in
        guard case .beginSession(let begin) = request, case .beginSession(var answer) = reply else { return reply }
        change(&answer)
        #expect(throws: ReplError.self) { try maker.check(answer, to: begin) }
        return .beginSession(answer)
      }
      #expect(try world.migrate()?.state == .failed)
      #expect(isViolation(world))
    }
  }

  @Test("a group that is said to consist of other points stays in doubt, and the next run asks for it")
  func commit() throws {
    let world = try World.written(1)
    world.answer = { _, reply in
      guard case .commitGroup(var answer) = reply else { return reply }
      answer.points = [PointID(high: 5, low: 5)]
      return .commitGroup(answer)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(isViolation(world))
    world.answer = { $1 }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).count == 2)
    try world.check()
  }

  @Test("data goes to the target itself, by its configured name or the address it was reached at, and nowhere else")
  func dataAddress() throws {
    let answers = PeerAnswers(peer: "target")
    for own in ["", "site-b.example", "SITE-B.example", "10.0.0.2"] {
      #expect(throws: Never.self) { try answers.check(dataAddress: own, own: ["site-b.example", "10.0.0.2"]) }
    }
    for other in ["10.0.0.3", "169.254.169.254", "localhost", "site-b.example.org"] {
      let error = #expect(throws: ReplError.self) {
        try answers.check(dataAddress: other, own: ["site-b.example", "10.0.0.2"])
      }
      #expect(error?.kind == .protocolViolation)
    }
  }
}
