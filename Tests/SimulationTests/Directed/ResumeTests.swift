import AgentService
import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Sessions that are cut and go on.
@Suite struct ResumeTests {
  @Test("a session that was cut ships the rest, not what is durable")
  func cutConnection() throws {
    let world = try World.written(1)
    world.chunksUntilCut = 9
    let report = try #require(try world.migrate())
    #expect(report.state == .succeeded)
    #expect(world.shippedBytes == 1 << 20)
    #expect(report.volumes.map(\.bytesChanged) == [1 << 20], "what differs, in however many attempts it was shipped")
    try world.check()
  }

  @Test("after a power cut of the target only what its ledger had not recorded is shipped again")
  func targetPowerCut() throws {
    let world = try World.written(1)
    var restarts = 0
    world.onRequest = { [unowned world] request in
      guard case .startSession = request else { return }
      restarts += 1
      if restarts == 1 { world.target.disk.gate.stopAfter(24) }
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(restarts == 2)
    // Records are made once a second; a chunk takes at most 0.4 s here.
    #expect(world.shippedBytes > 1 << 20)
    #expect(world.shippedBytes <= (1 << 20) + 2 << 19)
    try world.check()
  }

  @Test("a plan that takes longer than the tickets of its begin are good is shipped at the first attempt")
  func longPlan() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.live(steps: 3)
    var begins = 0
    world.onRequest = { [unowned world] request in
      switch request {
      case .beginSession: begins += 1
      case .startSession: world.clock.advance(seconds: 3 * 3600)
      default: break
      }
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(begins == 1)
    try world.check()
  }

  @Test("staging of one snapshot is never taken up for another")
  func otherSnapshot() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .sealSession = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .failed)
    world.cutBefore = { _ in false }
    try world.write(
      world.volumes[0], BytePattern.random(count: 1 << 20, using: &world.generator), at: 0)
    world.shippedBytes = 0
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.shippedBytes == 1 << 20, "all of the new snapshot travels")
    try world.check()
  }

  @Test("a run that the source's power cut interrupts is taken up with its own snapshot")
  func sourcePowerCut() throws {
    let world = try World.written(1)
    world.onRequest = { [unowned world] request in
      if case .startSession = request { world.source.power.cutAfterCommits(1) }
      if case .sealSession = request { world.source.disk.gate.stopAfter(0) }
    }
    _ = try world.migrate()
    #expect(world.source.power.isDown)
    world.onRequest = { _ in }
    let point = try #require(try world.twins().first).point
    try world.rebootSource()
    try world.live(steps: 4)
    world.shippedBytes = 0
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.point) == [point])
    #expect(world.shippedBytes == 0, "everything was durable at the target")
    try world.check()
  }

  @Test(
    "what was prepared or sealed before the source's power cut is reported as it was done: why in full, and how much",
    arguments: [RunStage.begin, .commit, .done])
  func reportedAfterPowerCut(_ stage: RunStage) throws {
    let world = try World.written(2)
    let second = world.volumes[1].id
    world.onRequest = { [unowned world] request in
      switch request {
      case .beginSession(let begin) where stage == .begin && begin.volume == second:
        world.source.disk.gate.stopAfter(0)
      case .sealSession(let seal) where stage == .commit && seal.seal.volume == second:
        world.source.power.cutAfterCommits(1)
      case .commitGroup where stage == .done: world.source.power.cutAfterCommits(1)
      default: break
      }
    }
    #expect(try world.migrate() == nil)
    world.onRequest = { _ in }
    try world.rebootSource()
    world.shippedBytes = 0
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    #expect(world.shippedBytes == (stage == .begin ? 1 << 20 : 0), "the first volume was shipped before")
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "full")
    #expect(report.fullReason == "first copy of the volume")
    #expect(report.bytesTotal >= 1 << 20)
    #expect(report.bytesDone == report.bytesTotal)
    #expect(report.bytesChanged == 1 << 20)
    #expect(report.bytesOnWire >= 1 << 20)
    try world.check()
  }

  /// Counts the bytes that are read of the newest snapshot's image.
  private func countReads(_ world: World) -> () -> UInt64 {
    let read = Mutex<UInt64>(0)
    let old = (try? world.twins().map(\.imagePath)) ?? []
    world.source.disk.gate.fail(with: ReplError(.bug, subject: "", cause: ""), once: false) { operation in
      guard operation.kind == .read, operation.path.hasSuffix("/image"), !old.contains(operation.path) else {
        return false
      }
      read.withLock { $0 += operation.extent?.length ?? 0 }
      return false
    }
    return { read.withLock { $0 } }
  }

  enum Pass: CaseIterable, Sendable { case full, reflink, digest }

  /// How the source is cut off.
  enum Cut: CaseIterable, Sendable { case connection, stop }

  @Test(
    "a source that was cut off reads nothing again that it has summed: all, what changed, or all to find what changed",
    arguments: Pass.allCases, Cut.allCases)
  func readOnce(_ pass: Pass, _ cut: Cut) throws {
    let world = try World(seed: 3, size: 8 << 20)
    let volume = world.volumes[0]
    try world.write(volume, BytePattern.random(count: 4 << 20, using: &world.generator), at: 0)
    if pass != .full {
      #expect(try world.migrate()?.state == .succeeded)
      // Written anew with the same bytes but for one block: a clone tells that all of it changed.
      var bytes = world.live(volume)[..<(4 << 20)]
      bytes[(3 << 20) + 100] ^= 1
      try world.write(volume, Array(bytes), at: 0)
    }
    if pass == .digest {
      try world.source.database.write { try VolumeRecord.distrust($0, volume.id, peer: "target", because: "a test") }
    }
    let read = countReads(world)
    var isCut = false
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request, !isCut else { return }
      if cut == .stop { world.currentRun?.stop() }
    }
    world.cutBefore = { request in
      guard case .sealSession = request, !isCut else { return false }
      isCut = true
      return true
    }
    let report = try world.migrate()
    if cut == .stop {
      #expect(report == nil)
      try world.resumeRuns()
    }
    #expect(isCut && world.lastReport?.state == .succeeded)
    #expect(read() == (pass == .digest ? 5 : 4) << 20, "each byte once, and what is shipped of a comparison once more")
    try world.check()
  }

  @Test("after a proof that did not match nothing is known: a source that was cut off then reads all of it again")
  func readAgainAfterAMismatch() throws {
    let world = try World(seed: 3, size: 8 << 20)
    let volume = world.volumes[0]
    try world.write(volume, BytePattern.random(count: 4 << 20, using: &world.generator), at: 0)
    #expect(try world.migrate()?.state == .succeeded)
    var bytes = world.live(volume)[..<(4 << 20)]
    bytes[(3 << 20) + 100] ^= 1
    try world.write(volume, Array(bytes), at: 0)
    let read = countReads(world)
    var (begins, isRotten) = (0, false)
    let staging = world.target.layout.staging(try SourceVolume(cluster: "source", volume: volume.id)).image
    world.onRequest = { [unowned world] request in
      guard case .sealSession = request, !isRotten else { return }
      isRotten = world.target.disk.corrupt(staging, at: 3 << 20)
    }
    // The begin after the mismatch, which would have shipped what differs.
    world.cutBefore = { request in
      guard case .beginSession = request else { return false }
      begins += 1
      return begins == 2
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(isRotten && begins > 2)
    #expect(read() == 8 << 20, "all of it twice")
    try world.check()
  }

  @Test("a run that is cancelled leaves no point and nothing staged, and the next one begins anew")
  func cancelled() throws {
    let world = try World.written(2)
    world.onRequest = { [unowned world] request in
      if case .startSession = request { world.currentRun?.cancel() }
    }
    #expect(try world.migrate()?.state == .cancelled)
    for volume in world.volumes {
      let source = try SourceVolume(cluster: "source", volume: volume.id)
      #expect(try !world.target.disk.exists(world.target.layout.staging(source).image))
      #expect(try world.points(volume).isEmpty)
    }
    world.onRequest = { _ in }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }
}
