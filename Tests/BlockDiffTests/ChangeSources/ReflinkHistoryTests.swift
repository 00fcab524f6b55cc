import BlockDiff
import ReplModel
import TestSupport
import Testing

/// Real histories on real file systems: whatever was done to the file between two snapshots, every byte that differs
/// lies in a found range, and what is called zero is zero.
@Suite(.requiresLoopDevices, .serialized) struct ReflinkHistoryTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var kind: LoopFileSystem.Kind
    var options = ""
    /// Run in the pool before the file is made, `%` stands for the pool.
    var prepare: [[String]] = []
    /// Run on the live file now and then between snapshots, `%` stands for the pool, `@` for the file.
    var upheavals: [[String]] = []
    var testDescription: String {
      kind.rawValue + (options.isEmpty ? "" : " \(options)") + (prepare.isEmpty ? "" : " +C")
    }
  }

  static let cases: [Case] = [
    Case(kind: .xfs, upheavals: [["xfs_fsr", "@"]]),
    Case(
      kind: .btrfs,
      upheavals: [
        ["btrfs", "filesystem", "defragment", "-f", "@"], ["btrfs", "balance", "start", "--full-balance", "%"],
      ]),
    Case(kind: .btrfs, prepare: [["chattr", "+C", "%/live"]]),
    Case(kind: .btrfs, options: "compress-force=zstd"),
  ]

  @Test(arguments: cases, [UInt64(1), 2, 3])
  func noChangeIsMissed(on example: Case, seed: UInt64) throws {
    let pool = try LoopFileSystem(example.kind, options: example.options)
    defer { pool.close() }
    var random = SeededGenerator(seed: seed)
    try LoopFileSystem.run(["mkdir", pool.path + "/live", pool.path + "/snapshots"])
    for command in example.prepare { try LoopFileSystem.run(command.map { $0.replacing("%", with: pool.path) }) }
    var history = History(pool: pool.path, size: 4 << 20)
    var base = try history.snapshot(number: 0)
    for number in 1...14 {
      for _ in 0..<1 + random.below(6) { history.add(&random) }
      try history.apply()
      let new = try history.snapshot(number: number)
      if random.chance(30), let upheaval = example.upheavals.randomElement(using: &random) {
        try LoopFileSystem.run(upheaval.map { $0.replacing("%", with: pool.path).replacing("@", with: history.live) })
      }
      try check(base, new, in: pool.path)
      base = new
    }
  }

  private func check(_ base: SnapshotResult, _ new: SnapshotResult, in pool: String) throws {
    let storage = LinuxStorage()
    let (old, now) = (try storage.bytes(base.path), try storage.bytes(new.path))
    let (oldFile, newFile) = (try storage.openFile(base.path, .read), try storage.openFile(new.path, .read))
    let plan = try PlanFile(creating: pool + "/plan", volumeSize: new.size, storage: storage)
    _ = try ReflinkChangeSource(base: oldFile, baseSize: base.size, new: newFile, newSize: new.size).run(into: plan)
    _ = try plan.finish()
    let reader = try PlanReader(pool + "/plan", storage: storage)
    var planned = ExtentSet()
    while let next = try reader.next() {
      planned.insert(next.extent)
      if next.kind == .zero { #expect(now[Int(next.extent.offset)..<Int(next.extent.end)].allSatisfy { $0 == 0 }) }
    }
    var differing: [Extent] = []
    now.withUnsafeBytes { now in
      old.withUnsafeBytes { BlockTrim.differingRuns(new: now, base: $0, at: 0, into: &differing) }
    }
    let missed = ExtentSet(differing).subtracting(planned)
    #expect(missed.isEmpty, "missed \(missed.extents) between \(base.path) and \(new.path)")
  }
}

/// A live file and what is to be done to it next.
private struct History {
  let pool: String
  var size: UInt64
  private var commands: [String] = []

  init(pool: String, size: UInt64) {
    self.pool = pool
    self.size = size
    commands = ["pwrite -q -S 1 0 \(size / 2)", "truncate \(size)"]
  }

  var live: String { pool + "/live/image" }

  mutating func add(_ random: inout SeededGenerator) {
    let grain = random.chance(70) ? 4096 : 1 + random.below(5000)
    let offset = UInt64(random.below(Int(size) / grain) * grain)
    let length = min(UInt64(grain * (1 + random.below(random.chance(20) ? 100 : 6))), size - offset)
    switch random.below(11) {
    case 0...3: commands.append("pwrite -q -S \(random.below(256)) \(offset) \(length)")
    case 4: commands.append("pwrite -q -S \(random.below(256)) \(offset) \(length)\u{1}fsync")
    case 5: commands.append("fpunch \(offset) \(length)")
    case 6: commands.append("falloc \(offset) \(length)")
    case 7: commands.append("fzero \(offset) \(length)")
    case 8:
      let source = UInt64(random.below(Int(size / 4096))) * 4096
      let target = UInt64(random.below(Int(size / 4096))) * 4096
      let distance = source > target ? source - target : target - source
      let count = min(distance, size - max(source, target), 65_536) / 4096 * 4096
      if count > 0 { commands.append("reflink -q \(live) \(source) \(target) \(count)") }
    case 9:
      commands.append(
        "mmap -rw \(offset / 4096 * 4096) 4096\u{1}mwrite -S \(random.below(256)) \(offset / 4096 * 4096) 4096\u{1}munmap"
      )
    default:
      size += UInt64(random.below(200_000))
      commands.append("truncate \(size)")
    }
  }

  mutating func apply() throws {
    try fileCommands(live, commands.flatMap { $0.split(separator: "\u{1}").map(String.init) })
    commands = []
  }

  mutating func snapshot(number: Int) throws -> SnapshotResult {
    if !commands.isEmpty { try apply() }
    let storage = LinuxStorage()
    let file = try storage.openFile(live, .read)
    defer { try? file.close() }
    return try ReflinkSnapshotter(storage: storage).take(
      of: file, into: pool + "/snapshots/\(number)", expectedSize: nil)
  }
}
