import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Random lives of a volume whose blocks rot at the target, each repeatable by its seed: once a damaged segment was found
/// in one image, no point is sealed that is wrong there, whatever is read, repaired, shipped or cut in between.
@Suite struct RandomDamageTests {
  @Test("no point is listed as sealed that is wrong where damage was found", arguments: 0..<4)
  func honest(share: Int) {
    var (lives, findings) = (0, 0)
    for seed in RandomLifeTests.seeds where Int(seed) % 4 == share {
      do {
        var life = try RottenLife(seed: seed)
        try life.run()
        lives += 1
        findings += life.findings
      } catch {
        Issue.record("SIMULATION_SEED=\(seed): \(error)")
        return
      }
    }
    #expect(findings > 0 || lives < 2, "\(lives) lives, and nothing was ever found")
  }
}

private struct RottenLife {
  private static let segments: UInt64 = 3
  private let world: World
  private let source: SourceVolume
  private var generator: SeededGenerator
  /// Segments that were found damaged since they last began to rot.
  private var found: Set<UInt64> = []
  /// Damaged segments that readings have found.
  private(set) var findings = 0

  init(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    world = try World(seed: generator.next(), volumeCount: 1, size: Self.segments << 20)
    source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    self.generator = generator
    try world.write(
      world.volumes[0], BytePattern.random(count: Int(Self.segments) << 20, using: &world.generator), at: 0)
  }

  mutating func run() throws {
    _ = try world.migrate()
    for _ in 0..<10 {
      try step()
      try check()
    }
    world.cutBefore = { _ in false }
    world.onRequest = { _ in }
    // All that can be is mended, and Migrations succeed.
    for _ in 0..<2 { try heal() }
    try world.live(steps: 1)
    guard try world.migrate()?.state == .succeeded else {
      throw Violation("the last cycle failed: \(world.lastReport?.reason ?? "")")
    }
    try check()
  }

  private mutating func step() throws {
    switch Int.random(in: 0..<9, using: &generator) {
    case 0, 1: try migrate()
    case 2, 3: try rot()
    case 4: try verify()
    case 5: try DoubtReader(context: world.targetContext).run(pace: { (_) in })
    case 6: RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run()
    case 7: _ = try TargetScrub(context: world.targetContext).suspect(pace: { (_) in })
    default: try world.rebootTarget()
    }
  }

  private mutating func heal() throws {
    for point in try world.points(world.volumes[0]) { try read(point) }
    try DoubtReader(context: world.targetContext).run(pace: { (_) in })
    RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run()
    try check()
  }

  /// A cycle, sometimes cut, and sometimes with rot that is found in the middle of it.
  private mutating func migrate() throws {
    try world.live(steps: 2)
    let cut = Int.random(in: 0..<6, using: &generator)
    world.cutBefore = { request in
      switch request {
      case .sealSession: cut == 0
      case .commitGroup: cut == 1
      default: false
      }
    }
    let points = try world.points(world.volumes[0])
    let moment = Int.random(in: 0..<4, using: &generator)
    let (segment, isRepaired) = (UInt64.random(in: 0..<Self.segments, using: &generator), generator.oneIn(2))
    var rotten: UInt64?
    var told: [UInt64] = []
    world.onRequest = { [world, source] request in
      let isNow =
        switch request {
        case .sealSession: moment == 0
        case .commitGroup: moment == 1
        default: false
        }
      guard isNow, rotten == nil, let base = points.randomElement(using: &world.generator) else { return }
      let image = world.target.layout.point(source, base.point).image
      guard world.target.disk.corrupt(image, at: segment << 20 + 8192) else { return }
      rotten = segment
      let reply = try? PointVerifier(context: world.targetContext).verify(source, base.point, quick: false)
      told = reply?.damagedSegments ?? []
      if isRepaired { RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run() }
    }
    _ = try world.migrate()
    world.onRequest = { _ in }
    world.cutBefore = { _ in false }
    if let rotten { found.remove(rotten) }
    note(told)
  }

  private mutating func rot() throws {
    let points = try world.points(world.volumes[0])
    guard let point = points.randomElement(using: &generator) else { return }
    let segment = UInt64.random(in: 0..<Self.segments, using: &generator)
    let place = segment << 20 + UInt64.random(in: 0..<16, using: &generator) * 65_536
    guard world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: place) else { return }
    found.remove(segment)
  }

  private mutating func verify() throws {
    guard let point = try world.points(world.volumes[0]).randomElement(using: &generator) else { return }
    try read(point)
  }

  private mutating func read(_ point: CatalogPoint) throws {
    let reply = try PointVerifier(context: world.targetContext).verify(source, point.point, quick: false)
    note(reply.damagedSegments)
  }

  private mutating func note(_ damaged: [UInt64]) {
    found.formUnion(damaged)
    findings += damaged.count
  }

  private func check() throws {
    for point in try world.points(world.volumes[0]) where point.state == .sealed {
      guard let bytes = world.target.disk.contents(world.target.layout.point(source, point.point).image),
        let truth = world.model[point.point]
      else { throw Violation("point \(point.point) is sealed and not there") }
      for segment in found {
        let range = min(Int(segment) << 20, truth.count)..<min(Int(segment + 1) << 20, truth.count)
        guard bytes.count == truth.count, BytePattern.areEqual(bytes[range], truth[range]) else {
          throw Violation("point \(point.point) is sealed and wrong in segment \(segment), where damage was found")
        }
      }
    }
  }
}
