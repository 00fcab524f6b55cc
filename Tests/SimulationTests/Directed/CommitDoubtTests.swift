import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Commits whose request or answer the network loses.
@Suite struct CommitDoubtTests {
  private static func isCommit(_ request: ControlRequest) -> Bool {
    if case .commitGroup = request { true } else { false }
  }

  @Test("the base stays at the source until the commit is answered, and the doubt is settled by asking")
  func answerLost() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.twins().first)
    try world.live(steps: 3)
    world.cutAfter = Self.isCommit
    #expect(try world.migrate()?.state == .failed)
    let doubtful = try world.twins()
    #expect(doubtful.map(\.state) == [.inDoubt, .sealed])
    #expect(world.source.disk.contents(base.imagePath) != nil, "the base's image is kept")
    try world.check()
    world.cutAfter = { _ in false }
    try world.live(steps: 2)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    let points = try world.points(world.volumes[0])
    #expect(points.map(\.point) == [points[0].point, doubtful[0].point, base.point])
    #expect(points[0].seal.base == doubtful[0].point, "the point in doubt was sealed and is used as the base")
    try world.check()
  }

  @Test("a commit that never arrived leaves no point, and the next session builds on the old base")
  func requestLost() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.twins().first)
    try world.live(steps: 3)
    world.cutBefore = Self.isCommit
    #expect(try world.migrate()?.state == .failed)
    world.cutBefore = { _ in false }
    #expect(try world.points(world.volumes[0]).map(\.point) == [base.point])
    #expect(try world.migrate()?.state == .succeeded)
    let newest = try #require(try world.points(world.volumes[0]).first)
    #expect(newest.seal.base == base.point)
    // What was in doubt and is no point is no twin either, and does not push out one that is.
    #expect(try world.twins().map(\.point) == [newest.point, base.point])
    try world.check()
  }

  @Test("a run whose commit is not answered ends when it is cancelled, and the next one learns what became of it")
  func cancelledWhileInDoubt() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.live(steps: 3)
    var commits = 0
    world.cutAfter = Self.isCommit
    world.onRequest = { [unowned world] request in
      guard Self.isCommit(request) else { return }
      commits += 1
      world.currentRun?.cancel()
    }
    #expect(try world.migrate()?.state == .cancelled)
    #expect(commits == 1, "it is not asked for again")
    #expect(try world.twins().map(\.state) == [.inDoubt, .sealed])
    try world.check()
    world.cutAfter = { _ in false }
    world.onRequest = { _ in }
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).count == 3, "what was in doubt was committed")
    try world.check()
  }

  @Test("a commit whose answer is lost once is asked for again and answered the same")
  func answerLostOnce() throws {
    let world = try World.written(2)
    var commits: [ControlRequest] = []
    world.cutAfter = { request in
      guard Self.isCommit(request) else { return false }
      commits.append(request)
      return commits.count == 1
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(commits.count == 2)
    let points = try world.volumes.map { try world.points($0) }
    let replies = commits.map { world.service.handle($0, from: "source") }
    #expect(replies[0] == replies[1])
    guard case .commitGroup(let reply) = replies[0] else {
      Issue.record("a commit that is done is refused")
      return
    }
    #expect(Set(reply.points) == Set(points.flatMap { $0.map(\.point) }))
    #expect(try world.volumes.map { try world.points($0) } == points)
  }

  @Test(
    "a power cut of the target at any commit of its database while it publishes leaves a whole group", arguments: 1...4)
  func powerCutWhilePublishing(commits: Int) throws {
    let world = try World.written(3)
    world.onRequest = { [unowned world] request in
      if Self.isCommit(request), !world.target.power.isDown { world.target.power.cutAfterCommits(commits) }
    }
    _ = try world.migrate()
    world.target.power.restore()
    try world.check()
    world.onRequest = { _ in }
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("a lost confirmation is made up for by the next begin")
  func confirmationLost() throws {
    let world = try World.written(1)
    world.cutBefore = { if case .confirmGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.confirmed) == [false])
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).map(\.confirmed) == [false, true])
  }

  @Test("until a point is confirmed retention keeps the confirmed one before it, and the floor always")
  func retention() throws {
    let world = try World.written(1)
    world.retention = RetentionPolicy(keepLast: 1, floor: 1)
    try world.rebootTarget()
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.points(world.volumes[0]).first)
    try world.live(steps: 1)
    world.cutBefore = { if case .confirmGroup = $0 { true } else { false } }
    #expect(try world.migrate()?.state == .succeeded)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    RetentionRun(context: world.targetContext).prune(source)
    #expect(try world.points(world.volumes[0]).map(\.point).contains(base.point))
    world.cutBefore = { _ in false }
    try world.live(steps: 1)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).count == 1)
    world.retention = RetentionPolicy(keepLast: 1, floor: 3)
    try world.rebootTarget()
    for _ in 0..<4 {
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded)
    }
    #expect(try world.points(world.volumes[0]).count == 3)
  }
}

extension World {
  /// A world whose volumes hold random data of a megabyte each.
  static func written(_ volumeCount: Int, seed: UInt64 = 7) throws -> World {
    let world = try World(seed: seed, volumeCount: volumeCount)
    for volume in world.volumes {
      try world.write(volume, BytePattern.random(count: 1 << 20, using: &world.generator), at: 0)
    }
    return world
  }

  /// Newest first.
  func twins(of index: Int = 0) throws(ReplError) -> [SnapshotRecord] {
    try source.database.read { try SnapshotRecord.all($0, volume: self.volumes[index].id, peer: "target") }
  }
}
