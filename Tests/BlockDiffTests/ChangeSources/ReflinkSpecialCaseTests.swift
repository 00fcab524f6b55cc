import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite(.requiresLoopDevices, .serialized) struct ReflinkSpecialCaseTests {
  private let storage = LinuxStorage()

  private func snapshot(_ live: String, _ directory: String) throws -> SnapshotResult {
    let file = try storage.openFile(live, .read)
    defer { try? file.close() }
    return try ReflinkSnapshotter(storage: storage).take(of: file, into: directory)
  }

  private func plan(_ base: SnapshotResult, _ new: SnapshotResult, in pool: String) throws -> [PlannedExtent] {
    let old = try storage.openFile(base.path, .read)
    let now = try storage.openFile(new.path, .read)
    let plan = try PlanFile(creating: pool + "/plan", volumeSize: new.size, storage: storage)
    _ = try ReflinkChangeSource(base: old, baseSize: base.size, new: now, newSize: new.size).run(into: plan)
    _ = try plan.finish()
    return try records(pool + "/plan")
  }

  private func fullPlan(_ image: SnapshotResult, in pool: String) throws -> [PlannedExtent] {
    let file = try storage.openFile(image.path, .read)
    let plan = try PlanFile(creating: pool + "/plan", volumeSize: image.size, storage: storage)
    try FullChangeSource(file, size: image.size).run(into: plan)
    _ = try plan.finish()
    return try records(pool + "/plan")
  }

  private func records(_ path: String) throws -> [PlannedExtent] {
    let reader = try PlanReader(path, storage: storage)
    var found: [PlannedExtent] = []
    while let next = try reader.next() { found.append(next) }
    return found
  }

  @Test(arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func aSparseTebibyteCostsWhatItHolds(kind: LoopFileSystem.Kind) throws {
    let pool = try LoopFileSystem(kind)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["truncate 1099511627776", "pwrite -q -S 1 0 1m", "pwrite -q -S 2 1099510579200 1m"])
    let base = try snapshot(live, pool.path + "/base")
    #expect(base.size == 1 << 40)
    let ends = [Extent(offset: 0, length: 1 << 20), Extent(offset: (1 << 40) - (1 << 20), length: 1 << 20)]
    #expect(try fullPlan(base, in: pool.path) == ends.map { PlannedExtent(extent: $0, kind: .data) })
    try fileCommands(live, ["pwrite -q -S 3 549755813888 4096", "fpunch 0 8192"])
    let new = try snapshot(live, pool.path + "/new")
    #expect(
      try plan(base, new, in: pool.path) == [
        PlannedExtent(extent: Extent(offset: 0, length: 8192), kind: .zero),
        PlannedExtent(extent: Extent(offset: 1 << 39, length: 4096), kind: .data),
      ])
  }

  @Test func inlineExtentsAreAlwaysPlanned() throws {
    let pool = try LoopFileSystem(.btrfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 1000"])
    let base = try snapshot(live, pool.path + "/base")
    try fileCommands(live, ["pwrite -q -S 2 10 5"])
    let new = try snapshot(live, pool.path + "/new")
    #expect(
      try plan(base, new, in: pool.path) == [PlannedExtent(extent: Extent(offset: 0, length: 1000), kind: .data)])
    #expect(
      try fullPlan(new, in: pool.path) == [PlannedExtent(extent: Extent(offset: 0, length: 1000), kind: .data)])
  }

  @Test func preallocationIsNotPlanned() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["truncate 8m", "pwrite -q -S 1 0 4096"])
    let base = try snapshot(live, pool.path + "/base")
    try fileCommands(live, ["falloc 1m 2m", "falloc -k 8m 1m"])
    let new = try snapshot(live, pool.path + "/new")
    #expect(try plan(base, new, in: pool.path).isEmpty)
    #expect(
      try fullPlan(new, in: pool.path) == [PlannedExtent(extent: Extent(offset: 0, length: 4096), kind: .data)])
  }

  @Test func aFileThatWasReplacedIsComparedWithItsPredecessor() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, ["pwrite -q -S 1 0 1m"])
    let base = try snapshot(live, pool.path + "/base")
    try LoopFileSystem.run(["cp", "--reflink=always", live, live + ".new"])
    try fileCommands(live + ".new", ["pwrite -q -S 2 65536 4096"])
    try LoopFileSystem.run(["mv", live + ".new", live])
    let new = try snapshot(live, pool.path + "/new")
    #expect(
      try plan(base, new, in: pool.path) == [PlannedExtent(extent: Extent(offset: 65536, length: 4096), kind: .data)])
  }

  @Test func nothingIsMissedWhileABalanceMovesEverything() throws {
    let pool = try LoopFileSystem(.btrfs)
    defer { pool.close() }
    let live = pool.path + "/live"
    try fileCommands(live, (0..<200).map { "pwrite -q -S \($0) \($0 * 65536) 65536" })
    let base = try snapshot(live, pool.path + "/base")
    let changed = (0..<20).map { Extent(offset: UInt64($0) * 655_360, length: 4096) }
    try fileCommands(live, changed.map { "pwrite -q -S 255 \($0.offset) \($0.length)" })
    let new = try snapshot(live, pool.path + "/new")
    let done = pool.path + "/done"
    let balance = "btrfs balance start --full-balance \(pool.path)"
    try LoopFileSystem.run(["sh", "-c", "(\(balance); \(balance); \(balance); touch \(done)) > /dev/null 2>&1 &"])
    repeat {
      let planned = ExtentSet(try plan(base, new, in: pool.path).map(\.extent))
      #expect(changed.allSatisfy { planned.contains($0) })
    } while try !storage.exists(done)
  }

  @Test func imagesOfDifferentFileSystemsAreRefused() throws {
    let first = try LoopFileSystem(.xfs)
    let second = try LoopFileSystem(.xfs)
    defer {
      first.close()
      second.close()
    }
    for pool in [first, second] { try fileCommands(pool.path + "/image", ["pwrite -q -S 1 0 1m"]) }
    let old = try storage.openFile(first.path + "/image", .read)
    let new = try storage.openFile(second.path + "/image", .read)
    let plan = try PlanFile(creating: first.path + "/plan", volumeSize: 1 << 20, storage: storage)
    let source = ReflinkChangeSource(base: old, baseSize: 1 << 20, new: new, newSize: 1 << 20)
    #expect(throws: ReplError.self) { try source.run(into: plan) }
    try old.close()
    try new.close()
    plan.discard()
  }

  @Test func extentMapsOfOtherFileSystemsAreNotBelieved() throws {
    let pool = try LoopFileSystem(.ext4)
    defer { pool.close() }
    try fileCommands(pool.path + "/image", ["pwrite -q -S 1 0 1m"])
    let image = try storage.openFile(pool.path + "/image", .read)
    let plan = try PlanFile(creating: pool.path + "/plan", volumeSize: 1 << 20, storage: storage)
    let source = ReflinkChangeSource(base: image, baseSize: 1 << 20, new: image, newSize: 1 << 20)
    #expect(throws: ReplError.self) { try source.run(into: plan) }
    try image.close()
    plan.discard()
  }

  @Test func anImageShorterThanRecordedIsDamaged() throws {
    let pool = try LoopFileSystem(.xfs)
    defer { pool.close() }
    try fileCommands(pool.path + "/image", ["pwrite -q -S 1 0 1m"])
    let image = try storage.openFile(pool.path + "/image", .read)
    let plan = try PlanFile(creating: pool.path + "/plan", volumeSize: 2 << 20, storage: storage)
    let source = ReflinkChangeSource(base: image, baseSize: 1 << 20, new: image, newSize: 2 << 20)
    let error = #expect(throws: ReplError.self) { try source.run(into: plan) }
    #expect(error?.kind == .damaged)
    try image.close()
    plan.discard()
  }
}
