import BlockDiff
import ReplModel
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Who may write what at the target.
@Suite struct AuthorityTests {
  /// A session that was begun and started, and its tickets.
  private static func started(
    _ world: World, _ start: Bool = true, volume index: Int = 0, streams: UInt16 = 2, at other: TargetService? = nil
  ) throws -> (BeginSession, BeginReply) {
    let service = other ?? world.service
    let volume = world.volumes[index]
    let begin = BeginSession(
      session: .random(using: &world.generator), volume: volume.id, namespace: "app", name: volume.name,
      lineage: volume.lineage, key: world.key, branch: volume.branch, snapshot: .random(using: &world.generator),
      generation: 1, size: volume.size, takenAt: world.clock.now(), consistency: .volume, kind: .delta,
      candidates: [], group: .random(using: &world.generator),
      members: [GroupMember(volume: volume.id, size: volume.size)], acceptShrink: false, streams: streams)
    guard case .beginSession(let reply) = service.handle(.beginSession(begin), from: "source") else {
      throw Violation("the session was not begun")
    }
    guard start else { return (begin, reply) }
    let request = StartSession(
      session: begin.session, base: nil, kind: .full, planDigest: Fingerprint(low: 1, high: 1), plannedBytes: 0)
    #expect(service.handle(.startSession(request), from: "source") == .startSession(StartReply(durableBytes: 0)))
    return (begin, reply)
  }

  private static func refusal(_ reply: ControlReply) -> ReplError.Kind? {
    if case .refused(let error) = reply { error.kind } else { nil }
  }

  @Test("a stream's ticket is good once")
  func singleUse() throws {
    let world = try World.written(1)
    let (begin, reply) = try Self.started(world)
    #expect(reply.tickets.count == 2)
    try world.service.attach(session: begin.session, ticket: reply.tickets[0], from: "source").close()
    let error = #expect(throws: ReplError.self) {
      try world.service.attach(session: begin.session, ticket: reply.tickets[0], from: "source")
    }
    #expect(error?.kind == .transient)
    try world.service.attach(session: begin.session, ticket: reply.tickets[1], from: "source").close()
  }

  @Test("a stream's ticket expires after two minutes")
  func expiry() throws {
    let world = try World.written(1)
    let (begin, reply) = try Self.started(world)
    world.clock.advance(seconds: 121)
    let error = #expect(throws: ReplError.self) {
      try world.service.attach(session: begin.session, ticket: reply.tickets[0], from: "source")
    }
    #expect(error?.kind == .transient)
  }

  @Test("the streams of all sessions together keep to the memory for buffers; each session gets one")
  func streamsOfAllSessions() throws {
    let world = try World.written(3)
    let all = EngineConfiguration.memoryPerStream
    #expect(world.target.configuration.memory / all == 16)
    let (first, greedy) = try Self.started(world, streams: 16)
    #expect(greedy.tickets.count == 16)
    let stream = try world.service.attach(session: first.session, ticket: greedy.tickets[0], from: "source")
    let (_, late) = try Self.started(world, volume: 1, streams: 16)
    #expect(late.tickets.count == 1, "15 tickets and a stream are out")
    stream.close()
    world.clock.advance(seconds: 121)
    #expect(
      try Self.started(world, volume: 2, streams: 16).1.tickets.count == 16, "nothing is open, every ticket has expired"
    )
  }

  @Test("a session is open only to the peer that began it")
  func otherPeer() throws {
    let world = try World.written(1)
    let (begin, reply) = try Self.started(world)
    #expect(throws: ReplError.self) {
      try world.service.attach(session: begin.session, ticket: reply.tickets[0], from: "stranger")
    }
    let resume = ResumeExtentsRequest(session: begin.session, offset: 0)
    #expect(Self.refusal(world.service.handle(.resumeExtents(resume), from: "stranger")) != nil)
    let abort = AbortSession(session: begin.session, discard: true)
    _ = world.service.handle(.abortSession(abort), from: "stranger")
    #expect(Self.refusal(world.service.handle(.resumeExtents(resume), from: "source")) == nil, "it still is open")
  }

  @Test("no point is published that was not prepared, and no other peer's group")
  func unpreparedGroup() throws {
    let world = try World.written(1)
    let (begin, _) = try Self.started(world)
    let commit = ControlRequest.commitGroup(CommitGroup(group: begin.group))
    #expect(Self.refusal(world.service.handle(commit, from: "source")) == .refused)
    #expect(Self.refusal(world.service.handle(commit, from: "stranger")) == .refused)
    #expect(try world.points(world.volumes[0]).isEmpty)
  }

  @Test("a branch that is not ours and another lineage have diverged, whatever their epoch; what is held stays")
  func branches() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    var (begin, _) = try Self.started(world, false)
    for epoch in [0, 1, 2] as [UInt64] {
      begin.branch = Branch(epoch: epoch, id: .random(using: &world.generator))
      #expect(Self.refusal(world.service.handle(.beginSession(begin), from: "source")) == .diverged)
    }
    begin.branch = world.volumes[0].branch
    begin.lineage = .random(using: &world.generator)
    #expect(Self.refusal(world.service.handle(.beginSession(begin), from: "source")) == .diverged)
    #expect(try world.points(world.volumes[0]).count == 1)
  }

  @Test("a seal is of the session that was begun, in every part")
  func sealOfAnotherSession() throws {
    let world = try World.written(1)
    let (begin, _) = try Self.started(world)
    let right = Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: begin.generation, size: begin.size, fingerprint: .zero, nonZeroBlocks: 0, takenAt: begin.takenAt,
      consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
    let changes: [(inout Seal) -> Void] = [
      { $0.volume = .random() }, { $0.lineage = .random() }, { $0.branch.id = .random() }, { $0.generation += 1 },
      { $0.group = .random() }, { $0.members[0].size += 1 }, { $0.takenAt = Timestamp(nanoseconds: 1) },
      { $0.consistency = .frozen },
    ]
    for change in changes {
      var wrong = right
      change(&wrong)
      let request = ControlRequest.sealSession(SealSession(session: begin.session, seal: wrong))
      #expect(Self.refusal(world.service.handle(request, from: "source")) == .protocolViolation)
    }
    let request = ControlRequest.sealSession(SealSession(session: begin.session, seal: right))
    #expect(world.service.handle(request, from: "source") == .sealSession(.prepared))
  }

  @Test("a session is started against the base that was agreed and no other")
  func startedAgainstAnotherBase() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let held = try #require(try world.points(world.volumes[0]).first).point
    let (begin, reply) = try Self.started(world, false)
    #expect(reply.outcome == .compareWith(held))
    let wrong: [(PointID?, SessionKind)] = [(held, .delta), (.random(), .compare), (held, .full), (held, .repair)]
    for (base, kind) in wrong {
      let start = StartSession(
        session: begin.session, base: base, kind: kind, planDigest: Fingerprint(low: 1, high: 1), plannedBytes: 0)
      #expect(Self.refusal(world.service.handle(.startSession(start), from: "source")) == .protocolViolation)
    }
  }

  @Test("a session is of a member of its group")
  func outsideItsGroup() throws {
    let world = try World.written(1)
    var (begin, _) = try Self.started(world, false)
    begin.session = .random(using: &world.generator)
    begin.members = [GroupMember(volume: .random(using: &world.generator), size: begin.size)]
    #expect(Self.refusal(world.service.handle(.beginSession(begin), from: "source")) == .protocolViolation)
  }

  @Test("a stream of before the session was begun again writes nothing more")
  func oldStream() throws {
    let world = try World.written(1)
    let (begin, _) = try Self.started(world)
    let wrong = Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: begin.generation, size: begin.size, fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1,
      takenAt: begin.takenAt, consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
    let seal = ControlRequest.sealSession(SealSession(session: begin.session, seal: wrong))
    #expect(world.service.handle(seal, from: "source") == .sealSession(.mismatch(sums: [], final: false)))
    // What differs is shipped once more, by streams of another round.
    func again() throws -> TargetStream {
      guard case .beginSession(let reply) = world.service.handle(.beginSession(begin), from: "source") else {
        throw Violation("the session was not begun again")
      }
      return try world.service.attach(
        session: begin.session, ticket: try #require(reply.tickets.first), from: "source")
    }
    let (old, new) = (try again(), try again())
    let block = [UInt8](repeating: 1, count: 4096)
    let error = #expect(throws: ReplError.self) { try block.withUnsafeBytes { try old.write($0, at: 0) } }
    #expect(error?.kind == .transient)
    try block.withUnsafeBytes { try new.write($0, at: 0) }
  }

  @Test("a promotion waits a minute for the proof of the next point, not for hours")
  func promotionWhileProving() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: point.volume)
    let attempt = Attempt()
    var context = world.targetContext
    // Asked for when the proof has begun.
    context.clockOffset = { _ in
      for seconds in [0.0, 59, 1] {
        world.clock.advance(seconds: seconds)
        attempt.run { service throws(ReplError) in try service.checkPromotion(source, point: point.point) }
      }
      return 0
    }
    let service = TargetService(context: context)
    attempt.service = service
    let (begin, _) = try Self.started(world, at: service)
    let seal = Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: begin.generation, size: begin.size, fingerprint: .zero, nonZeroBlocks: 0, takenAt: begin.takenAt,
      consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
    let request = ControlRequest.sealSession(SealSession(session: begin.session, seal: seal))
    #expect(service.handle(request, from: "source") == .sealSession(.prepared))
    #expect(attempt.kinds == [.transient, .transient, nil])
    try service.checkPromotion(source, point: point.point)
  }

  @Test("a session that begins while a promotion is being recorded is refused and not kept")
  func promotionWhileBeginning() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .confirmGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .succeeded)
    world.cutBefore = { _ in false }
    // The base is confirmed after the volume was admitted and before the session is in the table.
    try world.target.database.write {
      try $0.execute(
        sql: """
          CREATE TRIGGER promoted AFTER UPDATE OF confirmed ON point
          BEGIN UPDATE replica SET role = 'promoted'; END
          """)
    }
    let report = try #require(try world.migrate())
    #expect(report.state == .failed)
    #expect(report.reason.contains("volume in use"))
    try world.target.database.write {
      try $0.execute(sql: "DROP TRIGGER promoted")
      try $0.execute(sql: "UPDATE replica SET role = 'target'")
    }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }
}

/// What is tried at a service in the middle of something else. Used by one thread.
private final class Attempt: @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  weak var service: TargetService?
  private(set) var kinds: [ReplError.Kind?] = []

  func run(_ body: (TargetService) throws(ReplError) -> Void) {
    guard let service else { return }
    do throws(ReplError) {
      try body(service)
      kinds.append(nil)
    } catch {
      kinds.append(error.kind)
    }
  }
}
