import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Proofs that take longer than connections last, and what peers may leave open.
@Suite struct ProofTests {
  /// An agent with a session of a volume of zeros, begun and started.
  private struct Started {
    let world: World
    var threads: SimulatedThreads { world.target.threads }
    let service: TargetService
    let begin: BeginSession

    init(_ number: UInt64 = 1, world: World? = nil, service given: TargetService? = nil) throws {
      let world = try world ?? World.written(1)
      self.world = world
      service = given ?? TargetService(context: world.targetContext)
      let volume = world.volumes[0]
      begin = BeginSession(
        session: .random(using: &world.generator), volume: volume.id, namespace: "app", name: volume.name,
        lineage: volume.lineage, key: world.key, branch: volume.branch, snapshot: .random(using: &world.generator),
        generation: number, size: volume.size, takenAt: world.clock.now(), consistency: .volume, kind: .full,
        candidates: [], group: .random(using: &world.generator),
        members: [GroupMember(volume: volume.id, size: volume.size)], acceptShrink: false, streams: 1)
      guard case .beginSession = ask(.beginSession(begin)) else { throw Violation("the session was not begun") }
      let start = StartSession(
        session: begin.session, base: nil, kind: .full, planDigest: Fingerprint(low: 1, high: 1), plannedBytes: 0)
      guard case .startSession = ask(.startSession(start)) else { throw Violation("the session was not started") }
    }

    func ask(_ request: ControlRequest) -> ControlReply { service.handle(request, from: "source") }

    /// Of zeros, unless another sum is named.
    func seal(_ sum: Fingerprint = .zero) -> Seal {
      Seal(
        point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
        generation: begin.generation, size: begin.size, fingerprint: sum, nonZeroBlocks: 0, takenAt: begin.takenAt,
        consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
    }

    func askSeal(_ sum: Fingerprint = .zero) -> ControlReply {
      ask(.sealSession(SealSession(session: begin.session, seal: seal(sum))))
    }

    var outcome: BeginOutcome? {
      if case .beginSession(let reply) = ask(.beginSession(begin)) { reply.outcome } else { nil }
    }
  }

  private static func refusal(_ reply: ControlReply) -> ReplError.Kind? {
    if case .refused(let error) = reply { error.kind } else { nil }
  }

  @Test("a seal whose proof is not done is answered with how far it is; asked again it is joined")
  func underWay() throws {
    let session = try Started()
    session.threads.holdNext()
    guard case .underWay = session.askSeal() else {
      Issue.record("the proof was waited for")
      return
    }
    guard case .underWay = session.askSeal() else {
      Issue.record("the same seal was not joined")
      return
    }
    session.threads.release()
    #expect(session.askSeal() == .sealSession(.prepared))
  }

  @Test("a begin of the session that is being proven attaches to the proof and disturbs nothing")
  func attach() throws {
    let session = try Started()
    session.threads.holdNext()
    _ = session.askSeal()
    let seal = session.seal()
    #expect(session.outcome == .proving(seal))
    session.threads.release()
    #expect(session.askSeal() == .sealSession(.prepared))
    #expect(session.outcome == .prepared(seal))
    #expect(session.askSeal() == .sealSession(.prepared), "sealing what is proven gives the same answer")
  }

  @Test("a mismatch that nobody was told is told to the source that comes back")
  func untoldMismatch() throws {
    let session = try Started()
    session.threads.holdNext()
    let wrong = Fingerprint(low: 1, high: 0)
    _ = session.askSeal(wrong)
    session.threads.release()
    #expect(session.outcome == .proving(session.seal(wrong)))
    #expect(session.askSeal(wrong) == .sealSession(.mismatch(sums: [], final: false)))
    guard case .full? = session.outcome else {
      Issue.record("what differs cannot be shipped once more")
      return
    }
    #expect(session.askSeal(wrong) == .sealSession(.mismatch(sums: [], final: true)))
  }

  @Test("a proof that ended while nobody was there is durable")
  func unwatched() throws {
    let session = try Started()
    session.threads.holdNext()
    _ = session.askSeal()
    session.threads.release()
    #expect(session.outcome == .prepared(session.seal()))
  }

  @Test("a source that is cut off while its seal is proven comes back for the verdict and ships nothing again")
  func cutWhileProving() throws {
    let world = try World.written(1)
    var seals = 0
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request else { return }
      seals += 1
      if seals == 1 { world.target.threads.holdNext() }
      if seals == 3 { world.target.threads.release() }
    }
    world.cutAfter = { request in if case .sealSession = request { seals == 1 } else { false } }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(seals == 3)
    #expect(world.shippedBytes == 1 << 20)
    try world.check()
  }

  @Test("so does one that was restarted meanwhile: it has the seal")
  func restartWhileProving() throws {
    let world = try World.written(1)
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request else { return }
      world.target.threads.holdNext()
      world.source.disk.gate.stopAfter(0)
      // What is tried next finds the power gone: the seal arrives, its answer does not.
      try? world.source.disk.makeDirectory("/next")
    }
    _ = try world.migrate()
    #expect(world.source.power.isDown)
    world.onRequest = { [unowned world] request in
      if case .sealSession = request { world.target.threads.release() }
    }
    try world.rebootSource()
    world.shippedBytes = 0
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    #expect(world.shippedBytes == 0)
    try world.check()
  }

  @Test("another session of the volume gives up the proof of the one before and has its files to itself")
  func takeover() throws {
    let first = try Started()
    first.threads.holdNext()
    _ = first.askSeal()
    let second = try Started(2, world: first.world, service: first.service)
    first.threads.release()
    #expect(Self.refusal(first.askSeal()) == .transient)
    #expect(second.askSeal() == .sealSession(.prepared))
  }

  @Test("abort with discard of a prepared member leaves neither record nor files")
  func discard() throws {
    let session = try Started()
    #expect(session.askSeal() == .sealSession(.prepared))
    #expect(session.ask(.abortSession(AbortSession(session: session.begin.session, discard: true))) == .abortSession)
    let query = QueryPoint(volume: session.begin.volume, point: session.begin.snapshot)
    #expect(session.ask(.queryPoint(query)) == .queryPoint(.unknown))
    let source = try SourceVolume(cluster: "source", volume: session.begin.volume)
    #expect(try session.world.target.disk.exists(session.world.target.layout.staging(source).directory) == false)
    #expect(Self.refusal(session.ask(.commitGroup(CommitGroup(group: session.begin.group)))) == .refused)
  }

  @Test("abort without discard of a prepared member leaves it to be committed")
  func abort() throws {
    let session = try Started()
    #expect(session.askSeal() == .sealSession(.prepared))
    #expect(session.ask(.abortSession(AbortSession(session: session.begin.session, discard: false))) == .abortSession)
    guard case .commitGroup = session.ask(.commitGroup(CommitGroup(group: session.begin.group))) else {
      Issue.record("the group was not committed")
      return
    }
  }

  @Test("a source that never confirms is refused after some points, and served again when it confirms")
  func unconfirmed() throws {
    let world = try World.written(1)
    var service: TargetService?
    var last: Started?
    for number in 1...UInt64(TargetBudgets().unconfirmedPoints) {
      let session = try Started(number, world: world, service: service)
      service = session.service
      last = session
      #expect(session.askSeal() == .sealSession(.prepared))
      guard case .commitGroup = session.ask(.commitGroup(CommitGroup(group: session.begin.group))) else {
        Issue.record("group \(number) was not committed")
        return
      }
    }
    let session = try #require(last)
    var next = session.begin
    next.session = .random(using: &world.generator)
    next.snapshot = .random(using: &world.generator)
    #expect(Self.refusal(session.ask(.beginSession(next))) == .refused)
    #expect(session.ask(.confirmGroup(ConfirmGroup(group: session.begin.group))) == .confirmGroup)
    #expect(Self.refusal(session.ask(.beginSession(next))) == nil)
  }

  @Test("sessions of a peer that has been away for long end; what they staged is resumed")
  func abandoned() throws {
    let session = try Started()
    session.service.presence.arrived("source")
    session.service.presence.left("source")
    session.world.clock.advance(seconds: TargetBudgets().grace - 1)
    session.service.tick()
    #expect(session.service.openSessions == 1)
    session.world.clock.advance(seconds: 2)
    session.service.tick()
    #expect(session.service.openSessions == 0)
    #expect(Self.refusal(session.askSeal()) == .transient)
    #expect(session.outcome != nil)
  }
}
