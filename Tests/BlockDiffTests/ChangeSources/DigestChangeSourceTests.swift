import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct DigestChangeSourceTests {
  private let storage = LinuxStorage()

  private func key() throws -> FingerprintKey {
    var random = SeededGenerator(seed: 99)
    return FingerprintKey.random(using: &random)
  }

  /// Plans `path` against sums known, and returns plan and new sums.
  private func run(
    _ path: String, known: [BlockSum], check: () throws(ReplError) -> Void = {}
  ) throws -> (plan: [PlannedExtent], sums: [BlockSum], totals: DigestTotals) {
    let image = try storage.openFile(path, .read)
    defer { try? image.close() }
    let size = try image.size()
    let plan = try PlanFile(creating: path + ".plan", volumeSize: size, storage: storage)
    var sums: [BlockSum] = []
    let totals = try DigestChangeSource(image, size: size, key: try key(), dropsCache: true).run(
      into: plan,
      isUnchanged: { (segment, sum) throws(ReplError) in
        (Int(segment) < known.count ? known[Int(segment)] : .zero) == sum
      },
      newSum: { (_, sum) throws(ReplError) in sums.append(sum) }, check: check)
    _ = try plan.finish()
    let reader = try PlanReader(path + ".plan", storage: storage)
    var found: [PlannedExtent] = []
    while let next = try reader.next() { found.append(next) }
    return (found, sums, totals)
  }

  @Test(arguments: 0..<12)
  func plansExactlyTheSegmentsThatDiffer(seed: Int) throws {
    let directory = try TemporaryDirectory()
    var random = SeededGenerator(seed: UInt64(seed))
    let path = directory.file("volume")
    let segment = Int(segmentSize)
    var bytes = [UInt8](repeating: 0, count: 3 * segment + random.below(segment))
    for _ in 0..<4 { bytes[random.below(bytes.count)] = UInt8(1 + random.below(255)) }
    try storage.make(path, bytes)
    let first = try run(path, known: [])
    let walk = FingerprintWalk(key: try key())
    #expect(first.totals.sum == bytes.withUnsafeBytes { walk.sum(of: $0, at: 0) })

    var changed: Set<Int> = []
    for _ in 0..<random.below(3) {
      let place = random.below(bytes.count)
      bytes[place] ^= 0x55
      changed.insert(place / segment)
      try storage.write(path, [bytes[place]], at: UInt64(place))
    }
    let second = try run(path, known: first.sums)
    let planned = ExtentSet(second.plan.map(\.extent))
    let expected = ExtentSet(
      changed.map { Extent(from: UInt64($0 * segment), to: UInt64(min(($0 + 1) * segment, bytes.count))) })
    #expect(planned == expected)
    #expect(second.totals.changedSegments == UInt64(changed.count))
    #expect(try run(path, known: second.sums).plan.isEmpty)
  }

  @Test func whatBecameZeroIsPlannedAsZero() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 7, count: 2 << 20))
    let first = try run(path, known: [])
    let file = try storage.openFile(path, .readWrite)
    try file.punchHole(Extent(offset: 0, length: segmentSize))
    try file.close()
    let second = try run(path, known: first.sums)
    #expect(second.plan == [PlannedExtent(extent: Extent(offset: 0, length: segmentSize), kind: .zero)])
    #expect(second.totals.bytesRead == segmentSize)
  }

  @Test func growthIsComparedWithZeros() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 7, count: 5000))
    let first = try run(path, known: [])
    let file = try storage.openFile(path, .readWrite)
    try file.truncate(to: 64 << 20)
    try file.close()
    #expect(try run(path, known: first.sums).plan.isEmpty)
    try storage.write(path, [1], at: 50 << 20)
    #expect(
      try run(path, known: first.sums).plan
        == [PlannedExtent(extent: Extent(offset: 50 << 20, length: segmentSize), kind: .data)])
  }

  @Test func aVolumeThatEndsTooSoonIsAnErrorAndNotZeros() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 7, count: 100_000))
    let image = try storage.openFile(path, .read)
    let plan = try PlanFile(creating: path + ".plan", volumeSize: 200_000, storage: storage)
    let source = DigestChangeSource(image, size: 200_000, key: try key(), dropsCache: true)
    let error = #expect(throws: ReplError.self) {
      try source.run(
        into: plan, isUnchanged: { (_, _) throws(ReplError) in false }, newSum: { (_, _) throws(ReplError) in },
        check: { () throws(ReplError) in })
    }
    #expect(error?.kind == .io)
    #expect(error?.cause.contains("100000") == true)
  }

  @Test func evidenceIsAskedForBeforeEverySegmentThatIsRead() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("volume")
    try storage.make(path, [UInt8](repeating: 7, count: 4 << 20))
    var asked = 0
    let error = #expect(throws: ReplError.self) {
      try run(path, known: []) { () throws(ReplError) in
        asked += 1
        if asked == 3 { throw ReplError(.noPointInTime, subject: path, cause: "it was written to") }
      }
    }
    #expect(error?.kind == .noPointInTime && asked == 3)
  }
}
