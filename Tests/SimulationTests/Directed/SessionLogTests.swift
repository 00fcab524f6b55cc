import Logging
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What the target's log says at the default level.
@Suite struct SessionLogTests {
  @Test("a cycle is two lines a volume, with names, bytes and proof")
  func cycle() throws {
    let world = try World.written(2)
    #expect(try world.migrate()?.state == .succeeded)
    let begun = world.target.log.lines("session begun")
    #expect(begun.compactMap { $0.metadata["volume"] }.sorted() == ["app/v0", "app/v1"])
    #expect(begun.allSatisfy { $0.metadata["cluster"] == "source" && $0.metadata["full"] != nil })
    let sealed = world.target.log.lines("point sealed")
    #expect(sealed.compactMap { $0.metadata["volume"] }.sorted() == ["app/v0", "app/v1"])
    #expect(sealed.allSatisfy { $0.metadata["proof"] == "full" && $0.metadata["seconds"] != nil })
    #expect(try sealed.allSatisfy { try #require(UInt64($0.metadata["received"] ?? "")) > 0 })
    world.target.log.clear()
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.target.log.lines("session begun").allSatisfy { $0.metadata["base"] != nil })
    #expect(world.target.log.lines("point sealed").allSatisfy { $0.metadata["proof"] == "delta" })
  }

  @Test("what goes on after the target's power cut says so, and does not count what it cannot know")
  func resumedAfterPowerCut() throws {
    let world = try World.written(1)
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request else { return }
      world.onRequest = { _ in }
      world.service.tick()
      world.target.disk.gate.stopAfter(0)
    }
    _ = try world.migrate()
    #expect(try world.migrate()?.state == .succeeded || world.lastReport?.state == .succeeded)
    let sealed = try #require(world.target.log.lines("point sealed").first)
    #expect(!world.target.log.lines("session resumed").isEmpty)
    #expect(sealed.metadata["received"] == nil && sealed.metadata["seconds"] == nil)
  }

  @Test("a proof that does not come out equal is a warning, and says what follows")
  func unequal() throws {
    let world = try World.written(1)
    let volume = world.volumes[0]
    let begin = BeginSession(
      session: .random(using: &world.generator), volume: volume.id, namespace: "app", name: volume.name,
      lineage: volume.lineage, key: world.key, branch: volume.branch, snapshot: .random(using: &world.generator),
      generation: 1, size: volume.size, takenAt: world.clock.now(), consistency: .volume, kind: .full, candidates: [],
      group: .random(using: &world.generator), members: [GroupMember(volume: volume.id, size: volume.size)],
      acceptShrink: false, streams: 1)
    let start = StartSession(
      session: begin.session, base: nil, kind: .full, planDigest: Fingerprint(low: 1, high: 1), plannedBytes: 0)
    let seal = Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: 1, size: begin.size, fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1,
      takenAt: begin.takenAt, consistency: .volume, proof: .full, group: begin.group, members: begin.members)
    for request in [
      ControlRequest.beginSession(begin), .startSession(start),
      .sealSession(SealSession(session: begin.session, seal: seal)),
    ] { _ = world.service.handle(request, from: "source") }
    let line = try #require(world.target.log.lines("what was received does not equal its source").first)
    #expect(line.level == .warning)
    #expect(line.metadata["volume"] == "app/v0" && line.metadata["next"] == "what differs is shipped once more")
    _ = world.service.handle(
      .abortSession(AbortSession(session: begin.session, discard: true)), from: "source")
    let abort = try #require(world.target.log.lines("session aborted by its source").first)
    #expect(abort.metadata["volume"] == "app/v0" && abort.metadata["staged"] == "thrown away")
  }
}
