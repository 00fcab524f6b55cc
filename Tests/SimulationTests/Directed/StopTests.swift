import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// The source's agent stops in the middle of a run, as SIGTERM has it.
@Suite struct StopTests {
  /// Requests of a run of two volumes, from the first inventory to the confirmation.
  private static let requests = 0..<12

  @Test(
    "whenever it stops, the run is neither failed nor cancelled, and goes on with the snapshots it has",
    arguments: requests)
  func stopped(at request: Int) throws {
    let world = try World.written(2)
    var (count, isDown) = (0, false)
    world.onRequest = { [unowned world] _ in
      if count == request {
        world.currentRun?.stop()
        isDown = true
      }
      count += 1
    }
    // From then on the links are closed.
    world.cutBefore = { _ in isDown }
    let report = try world.migrate()
    guard isDown, report == nil else {
      #expect(report?.state == .succeeded, "the run was through before, or only its confirmation was lost")
      return
    }
    let record = try #require(try world.source.database.read { try RunRecord.unfinished($0) }.first)
    #expect(record.state == .running)
    let taken = try world.twins(of: world.volumes).map(\.point)
    #expect(try taken.allSatisfy { try world.source.disk.exists(world.image(of: $0)) })

    isDown = false
    world.onRequest = { _ in }
    try world.live(steps: 3)
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    let sealed = try world.volumes.map { try #require(try world.points($0).first).point }
    #expect(Set(taken).isSubset(of: sealed), "what was taken before the stop is what was sealed")
    try world.check()
  }

  @Test("a run that was cancelled before stays cancelled")
  func cancelledBefore() throws {
    let world = try World.written(1)
    world.onRequest = { [unowned world] request in
      guard case .startSession = request else { return }
      world.currentRun?.cancel()
      world.currentRun?.stop()
    }
    #expect(try world.migrate()?.state == .cancelled)
    #expect(try world.source.database.read { try RunRecord.unfinished($0) }.isEmpty)
  }
}

extension StopTests {
  @Test("a peer that answers `cancelled`, and a connection that is closed on this side, cancel nothing")
  func cancelledByPeer() throws {
    let world = try World.written(1)
    world.answer = { request, reply in
      guard case .startSession = request else { return reply }
      return .refused(ReplError(.cancelled, subject: "session", cause: "cancelled"))
    }
    #expect(try world.migrate()?.state == .failed)
  }
}

extension World {
  fileprivate func twins(of volumes: [VolumeRecord]) throws -> [SnapshotRecord] {
    try volumes.flatMap { volume in try source.database.read { try SnapshotRecord.all($0, volume: volume.id) } }
  }

  fileprivate func image(of point: PointID) throws -> String {
    try source.database.read { try SnapshotRecord.find($0, point) }?.imagePath ?? ""
  }
}
