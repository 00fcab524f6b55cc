import AgentService
import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

@testable import ReplicationEngine

/// Random lives of two agents, each repeatable by its seed.
@Suite struct RandomLifeTests {
  /// How many seeds; `SIMULATION_SEEDS` asks for more, `SIMULATION_SEED` for one.
  static var seeds: [UInt64] {
    if let one = getenv("SIMULATION_SEED").flatMap({ UInt64(String(cString: $0)) }) { return [one] }
    let count = getenv("SIMULATION_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 100
    return (1...max(count, 1)).map { $0 }
  }

  /// Run side by side, each with its part of the seeds.
  static let shares = 4

  @Test(
    "whatever breaks, sealed points are their snapshots, groups are whole, and the next cycle succeeds",
    arguments: 0..<shares)
  func randomLives(share: Int) {
    var failures = 0
    for (index, seed) in Self.seeds.enumerated() where index % Self.shares == share && failures < 3 {
      do {
        var life = try Life(seed: seed)
        try life.run()
      } catch {
        failures += 1
        Issue.record("SIMULATION_SEED=\(seed): \(error)")
      }
    }
  }
}

/// One random life.
private struct Life {
  private let world: World
  private var generator: SeededGenerator
  private let steps: Int

  init(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let count = Int.random(in: 1...3, using: &generator)
    let size = UInt64.random(in: 300...700, using: &generator) * 4096
    world = try World(seed: generator.next(), volumeCount: count, size: size)
    if generator.oneIn(4) {
      world.retention = RetentionPolicy(keepLast: 2, floor: 1)
    }
    if generator.oneIn(3) { world.mode = .default }
    steps = Int.random(in: 4...8, using: &generator)
    self.generator = generator
  }

  mutating func run() throws {
    for _ in 0..<steps {
      try world.live(steps: Int.random(in: 0...5, using: &generator))
      arm()
      let report = try world.migrate()
      try settle(report)
      try world.check()
    }
    world.faults.budget = 0
    try world.live(steps: 3)
    try succeed("after the last fault")
    try world.check()
  }

  /// Brings up what is down, heals everything, and takes up what was interrupted.
  private mutating func settle(_ report: MigrationReport?) throws {
    let wasDown = report == nil
    world.faults.budget = 0
    if world.target.power.isDown || generator.oneIn(8) { try world.rebootTarget() }
    world.target.power.restore()
    if wasDown {
      try world.rebootSource()
      // The volume may have changed before the run goes on with its old snapshot.
      try world.live(steps: 1)
      try world.check(thorough: false)
      try world.resumeRuns()
    } else {
      world.source.power.restore()
    }
    try world.check(thorough: false)
    if generator.oneIn(3) { try succeed("once healed") }
  }

  private func succeed(_ when: String) throws {
    let sealsBefore = world.sealsSent
    guard let report = try world.migrate(), report.state == .succeeded else {
      throw Violation("the cycle \(when) failed: \(world.lastReport?.reason ?? "without a report")")
    }
    // A second try mends what was not shipped as it should be, so that only this tells.
    guard world.sealsSent - sealsBefore <= world.volumes.count else {
      throw Violation("a seal did not match at once although nothing broke")
    }
    try world.check(thorough: false)
    for volume in world.volumes {
      guard let newest = try world.points(volume).first, let bytes = world.model[newest.point] else {
        throw Violation("a cycle succeeded without a point")
      }
      guard BytePattern.areEqual(bytes[...], world.live(volume)[...]) else {
        throw Violation("the newest point is not the volume as it is")
      }
    }
  }

  /// Chooses what goes wrong in the next run.
  private mutating func arm() {
    let target = world.target
    let source = world.source
    switch Int.random(in: 0..<11, using: &generator) {
    case 0: break
    case 1, 2, 3: world.faults.budget = Int.random(in: 1...4, using: &generator)
    case 4, 5: target.disk.gate.stopAfter(Int.random(in: 0..<180, using: &generator))
    case 6: source.disk.gate.stopAfter(Int.random(in: 0..<60, using: &generator))
    case 7: target.power.cutAfterCommits(Int.random(in: 1...8, using: &generator))
    case 8: source.power.cutAfterCommits(Int.random(in: 1...8, using: &generator))
    case 9:
      let kind: StorageOperation.Kind = generator.oneIn(2) ? .synchronize : .synchronizeData
      let error = ReplError(.io, subject: "disk", cause: "input/output error")
      (generator.oneIn(4) ? source : target).disk.gate.fail(with: error) { $0.kind == kind }
    default:
      let error = ReplError(.noSpace, subject: "disk", cause: "no space left on device")
      world.hadNoSpace = true
      let number = Int.random(in: 0..<60, using: &generator)
      target.disk.gate.failChange(number: number, with: error)
    }
  }
}
