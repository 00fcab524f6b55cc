import BlockDiff
import MetricsExposition
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What the engine counts, at the moment it happens.
@Suite struct MetricsTests {
  private static func page(_ registry: MetricsRegistry) throws -> ExpositionPage {
    try ExpositionPage(ExpositionText.render(registry.families()))
  }

  private static func steps(_ world: World) throws -> [String: Double] {
    let samples = try page(world.sourceMetrics).samples("repl_agent_space_steps_total", ["pool": "main"])
    return Dictionary(samples.map { ($0.labels["step"] ?? "", $0.value) }, uniquingKeysWith: +)
  }

  /// Leaves the source's pool with one byte.
  private static func fill(_ world: World) throws {
    world.source.disk.capacity = 1 << 40
    let space = try world.source.disk.space(at: "/pool")
    world.source.disk.capacity = space.total - space.available + 1
  }

  @Test("each step of space relief at the source is counted with its pool")
  func spaceSteps() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    try world.live(steps: 2)
    let context = world.sourceContext
    _ = try SnapshotKeeper(context: context).take(world.volumes[0], peer: "target", acceptShrink: false)
    let pool = try #require(world.source.pools.entries.first)
    #expect(try Self.steps(world).values.allSatisfy { $0 == 0 })
    try Self.fill(world)
    try SpaceKeeper(context: context).relieve(pool)
    let first = try Self.steps(world)
    #expect(first == ["stop_snapshots": 1, "drop_unsent": 1])
    try Self.fill(world)
    try SpaceKeeper(context: context).relieve(pool)
    #expect(try Self.steps(world) == ["stop_snapshots": 1, "drop_unsent": 1, "drop_base": 1])
    #expect(try world.twins().allSatisfy { !$0.hasImage })
    try SpaceKeeper(context: context).relieve(pool)
    #expect(try Self.steps(world)["stop_snapshots"] == 1, "a pool that stays full is one step, not one per look")
    world.source.disk.capacity = nil
    try SpaceKeeper(context: context).relieve(pool)
    #expect(try Self.steps(world) == ["stop_snapshots": 1, "drop_unsent": 1, "drop_base": 1])
  }

  @Test("a scrub that finds a missed change at the source is counted, and so is what it read; a clean one only reads")
  func sourceScrub() throws {
    let world = try World.written(1)
    try world.write(world.volumes[0], BytePattern.random(count: 8192, using: &world.generator), at: 318 * 4096)
    #expect(try world.migrate()?.state == .succeeded)
    let twin = try #require(try world.twins().first)
    try TwinScrub(context: world.sourceContext).run(twin, pace: { (_) in })
    let clean = try Self.page(world.sourceMetrics)
    #expect(clean.samples("repl_agent_scrub_mismatches_total", ["side": "source"]).map(\.value).reduce(0, +) == 0)
    let read = try #require(clean.value("repl_agent_scrubbed_bytes_total", ["side": "source"]))
    #expect(read > 0 && read <= Double(twin.size))

    #expect(world.source.disk.corrupt(twin.imagePath, at: 300_000))
    #expect(world.source.disk.corrupt(twin.imagePath, at: 318 * 4096 + 100))
    try TwinScrub(context: world.sourceContext).run(twin, pace: { (_) in })
    let page = try Self.page(world.sourceMetrics)
    #expect(page.value("repl_agent_scrub_mismatches_total", ["side": "source"]) == 1)
    #expect(page.value("repl_agent_scrub_mismatched_segments_total", ["side": "source"]) == 2)
    #expect(page.value("repl_agent_scrubbed_bytes_total", ["side": "source"]) == 2 * read)
  }

  @Test("a scrub that finds damage at the target is counted there, and its repair on both sides")
  func targetScrub() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let point = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.corrupt(world.target.layout.point(source, point.point).image, at: 300_000))
    let verifier = PointVerifier(context: world.targetContext)
    #expect(try verifier.verify(source, point.point, quick: false).state == .suspect)
    let found = try Self.page(world.targetMetrics)
    #expect(found.value("repl_agent_scrub_mismatches_total", ["side": "target"]) == 1)
    #expect(found.value("repl_agent_scrub_mismatched_segments_total", ["side": "target"]) == 1)
    #expect(try #require(found.value("repl_agent_scrubbed_bytes_total", ["side": "target"])) > 0)
    #expect(
      try Self.page(world.sourceMetrics).samples("repl_agent_scrub_mismatches_total").allSatisfy { $0.value == 0 })

    RepairRun(context: world.sourceContext, link: SimulatedLink(world)).run()
    #expect(try world.points(world.volumes[0]).map(\.state) == [.sealed])
    for (side, registry) in [("source", world.sourceMetrics), ("target", world.targetMetrics)] {
      let repairs = try Self.page(registry).value("repl_agent_repairs_total", ["side": side, "outcome": "succeeded"])
      #expect(repairs == 1)
    }
  }

  @Test(
    "sessions are counted by outcome, points by change source and proof, full copies by reason, and bytes as reported")
  func sessions() throws {
    let world = try World.written(1)
    world.mode = .default
    var (changed, wire): (UInt64, UInt64) = (0, 0)
    for _ in 1...7 {
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded)
      changed += world.lastReport?.volumes.first?.bytesChanged ?? 0
      wire += world.lastReport?.volumes.first?.bytesOnWire ?? 0
    }
    let page = try Self.page(world.sourceMetrics)
    #expect(page.value("repl_agent_sessions_total", ["outcome": "succeeded"]) == 7)
    #expect(page.value("repl_agent_session_seconds_count", ["outcome": "succeeded"]) == 7)
    #expect(page.value("repl_agent_full_copies_total", ["reason": "no_base"]) == 1)
    #expect(page.value("repl_agent_full_copies_total", ["reason": "seventh"]) == 1)
    #expect(page.value("repl_agent_points_sealed_total", ["change_source": "full", "proof": "full"]) == 2)
    #expect(page.value("repl_agent_points_sealed_total", ["change_source": "reflink", "proof": "delta"]) == 5)
    #expect(changed > 0)
    #expect(page.value("repl_agent_changed_bytes_total", ["cluster": "target"]) == Double(changed))
    #expect(page.value("repl_agent_wire_bytes_total", ["cluster": "target"]) == Double(wire))
  }

  @Test(
    "a session that fails is counted as failed, with the kind of its error, and the full copy after it with its reason")
  func failures() throws {
    let world = try World.written(1)
    #expect(try world.migrate()?.state == .succeeded)
    let base = try #require(try world.points(world.volumes[0]).first)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    #expect(world.target.disk.corrupt(world.target.layout.point(source, base.point).image, at: 5000))
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 4096)
    #expect(try world.migrate()?.state == .failed)
    #expect(try world.migrate()?.state == .succeeded)
    let page = try Self.page(world.sourceMetrics)
    #expect(page.value("repl_agent_sessions_total", ["outcome": "failed"]) == 1)
    #expect(page.value("repl_agent_sessions_total", ["outcome": "succeeded"]) == 2)
    #expect(page.value("repl_agent_run_failures_total", ["reason": "damaged"]) == 1)
    #expect(page.value("repl_agent_full_copies_total", ["reason": "mismatch"]) == 1)
  }

  @Test("points that retention deletes are counted with the reason")
  func retention() throws {
    let world = try World.written(1)
    for _ in 1...6 {
      try world.live(steps: 1)
      #expect(try world.migrate()?.state == .succeeded)
    }
    world.retention = RetentionPolicy(keepLast: 3)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    RetentionRun(context: world.targetContext).prune(source)
    let kept = try world.points(world.volumes[0]).count
    #expect(kept < 6)
    let removed = try Self.page(world.targetMetrics).value("repl_agent_points_removed_total", ["reason": "retention"])
    #expect(removed == Double(6 - kept))
  }

  @Test("errors of storage at the target are counted by kind, others are not")
  func storageErrors() throws {
    let world = try World.written(1)
    world.target.disk.capacity = 1 << 20
    #expect(try world.migrate()?.state == .failed)
    let page = try Self.page(world.targetMetrics)
    #expect(try #require(page.value("repl_agent_storage_errors_total", ["reason": "no_space"])) > 0)
    EngineMetrics(world.targetMetrics).storageError(ReplError(.refused, subject: "x", cause: "y"))
    #expect(
      try Self.page(world.targetMetrics).samples("repl_agent_storage_errors_total", ["reason": "refused"]).isEmpty)
  }
}

/// Labels of errors.
@Suite struct MetricNameTests {
  @Test("kinds of errors are words in lower case, each another one")
  func kinds() {
    #expect(EngineMetrics.name(.noSpace) == "no_space")
    #expect(EngineMetrics.name(.protocolViolation) == "protocol_violation")
    let names = ReplError.Kind.allCases.map(EngineMetrics.name)
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" } })
  }
}
