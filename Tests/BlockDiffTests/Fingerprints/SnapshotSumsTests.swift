import ReplModel
import Synchronization
import TestSupport
import Testing

@testable import BlockDiff

/// What a source knows of a snapshot after it was cut off: nothing that is wrong, and nearly all that it has read.
@Suite struct SnapshotSumsTests {
  private static let segments: UInt64 = 200
  private static let size = segments * segmentSize - 100
  private static let keyID: UInt64 = 5
  private static let point = PointID(high: 1, low: 2)

  /// A clock that every look at it moves on by a second, so that only bytes decide when a record is made.
  private final class Clock: Sendable {
    private let seconds = Atomic<Int>(0)
    func next() -> Double { Double(seconds.add(1, ordering: .relaxed).newValue) }
  }

  private static func disk() throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try disk.makeDirectory("/snapshot")
    try disk.synchronizeDirectory("/")
    return disk
  }

  private static func open(
    _ disk: SimulatedDisk, point: PointID = point, size: UInt64 = size, base: Seal? = nil, isKept: Bool = true
  ) throws -> SnapshotSums {
    let clock = Clock()
    return try SnapshotSums.open(
      in: "/snapshot", of: SnapshotSums.Identity(point: point, size: size, keyID: keyID, base: base), isKept: isKept,
      storage: disk, seconds: { clock.next() },
      fresh: { (path) throws(ReplError) in
        try SegmentTable.create(path, volumeSize: size, keyID: keyID, in: disk)
      })
  }

  private static let base = Seal(
    point: PointID(high: 4, low: 4), volume: VolumeID(high: 1, low: 1), lineage: LineageID(high: 1, low: 1),
    branch: Branch(epoch: 1, id: BranchID(high: 1, low: 1)), base: nil, generation: 1, size: 4096,
    fingerprint: Fingerprint(low: 1, high: 2), nonZeroBlocks: 1, takenAt: Timestamp(nanoseconds: 0),
    consistency: .volume, proof: .full, group: GroupID(high: 1, low: 1), members: [])

  private static func sum(_ segment: UInt64) -> BlockSum {
    BlockSum(fingerprint: Fingerprint(low: segment + 1, high: 1), nonZeroBlocks: 7)
  }

  private static func equal(_ segment: UInt64) -> Extent {
    Extent(offset: segment * segmentSize + 8192, length: 4096)
  }

  /// Sums the segments that nothing is recorded of.
  private static func read(_ sums: SnapshotSums, _ segments: Range<UInt64> = 0..<segments) throws -> [UInt64] {
    var recorded = sums.recorded()
    var read: [UInt64] = []
    for segment in segments where recorded?.sum(of: segment) == nil {
      try sums.set(segment: segment, sum(segment), equal: [equal(segment)])
      read.append(segment)
    }
    return read
  }

  /// A disk with a snapshot of which all has been read and recorded.
  private static func recorded() throws -> SimulatedDisk {
    let disk = try disk()
    let sums = try open(disk)
    _ = try read(sums)
    sums.close()
    return disk
  }

  /// That what is recorded is true, and what of it is equal is recorded too.
  private static func check(_ sums: SnapshotSums) throws -> Int {
    var recorded = sums.recorded()
    let equal = ExtentSet(try sums.recordedEqual().map { try collect($0) } ?? [])
    var count = 0
    for segment in 0..<segments {
      guard let found = recorded?.sum(of: segment) else { continue }
      #expect(found == sum(segment))
      #expect(equal.contains(Self.equal(segment)))
      count += 1
    }
    return count
  }

  @Test("after a close all is known, and nothing is read again")
  func closed() throws {
    let disk = try Self.disk()
    let first = try Self.open(disk)
    #expect(try Self.read(first, 0..<90) == Array(0..<90))
    first.close()
    let second = try Self.open(disk)
    #expect(try Self.check(second) == 90)
    #expect(try Self.read(second) == Array(90..<200))
    try second.flush()
    #expect(try second.table.total().nonZeroBlocks == 7 * Self.segments)
  }

  @Test("the power is cut at any operation: what is known is true, at most 64 MiB are read again", arguments: 0..<3)
  func powerCut(seed: UInt64) throws {
    let dry = try Self.disk()
    let start = dry.gate.changeCount
    _ = try Self.read(try Self.open(dry))
    let operations = dry.gate.changeCount - start
    #expect(operations > 10)
    for operation in 0..<operations {
      var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(operation))
      let disk = try Self.disk()
      disk.gate.stopAfter(operation)
      var read = 0
      do {
        let sums = try Self.open(disk)
        for segment in 0..<Self.segments {
          try sums.set(segment: segment, Self.sum(segment), equal: [Self.equal(segment)])
          read += 1
        }
      } catch { #expect(error is ReplError) }
      disk.crash(using: &generator)
      disk.gate.reset()
      let sums = try Self.open(disk)
      let known = try Self.check(sums)
      // One record may be on its way while the next 64 segments are read.
      #expect(known + 2 * 64 >= read, "operation \(operation), seed \(seed)")
      _ = try Self.read(sums)
      try sums.flush()
      #expect(try sums.table.total().nonZeroBlocks == 7 * Self.segments, "operation \(operation), seed \(seed)")
    }
  }

  @Test("what was recorded of another snapshot, base or size, or of a volume that is read live, is not known")
  func others() throws {
    func known(_ open: (SimulatedDisk) throws -> SnapshotSums) throws -> Bool {
      let disk = try Self.recorded()
      return try open(disk).recorded() != nil
    }
    #expect(try known { try Self.open($0) })
    #expect(try !known { try Self.open($0, point: PointID(high: 1, low: 3)) })
    #expect(try !known { try Self.open($0, size: Self.size + 4096) })
    #expect(try !known { try Self.open($0, base: Self.base) })
    #expect(try !known { try Self.open($0, isKept: false) })
  }

  @Test("an attempt upon another base in between leaves nothing that an earlier record vouches for", arguments: 0..<16)
  func baseInBetween(seed: UInt64) throws {
    let disk = try Self.recorded()
    // Its table becomes durable, and nothing is recorded of it.
    let other = try Self.open(disk, base: Self.base)
    try other.set(segment: 3, Self.sum(99))
    try other.flush()
    try other.table.synchronize()
    var generator = SeededGenerator(seed: seed)
    disk.crash(using: &generator)
    // Whatever came back of files and names: no sum is known that is not this one's.
    _ = try Self.check(try Self.open(disk))
  }

  @Test("no room for the records fails nothing; a table that cannot be synced does")
  func failures() throws {
    let disk = try Self.disk()
    disk.gate.fail(with: ReplError(.noSpace, subject: "disk", cause: "is full"), once: false) {
      $0.kind == .write && $0.path.hasSuffix("/summed")
    }
    let sums = try Self.open(disk)
    #expect(try Self.read(sums).count == 200)
    #expect(sums.recorded() == nil)
    disk.gate.reset()
    disk.gate.fail(with: ReplError(.io, subject: "disk", cause: "is broken")) {
      $0.kind == .synchronize && $0.path.hasSuffix("/segments")
    }
    let next = try Self.open(disk)
    #expect(throws: ReplError.self) { try Self.read(next) }
    #expect(try Self.open(disk).recorded() == nil)
  }

  @Test("an entry that is damaged is read again")
  func damaged() throws {
    let disk = try Self.recorded()
    #expect(disk.corrupt("/snapshot/segments", at: 4096 + 32 * 17 + 3))
    let second = try Self.open(disk)
    #expect(try Self.read(second) == [17])
    second.close()
    #expect(try Self.check(try Self.open(disk)) == 200)
  }

  @Test("a snapshot that is proven leaves no records")
  func forgotten() throws {
    let disk = try Self.disk()
    let sums = try Self.open(disk)
    _ = try Self.read(sums)
    sums.forget()
    sums.close()
    #expect(try disk.list("/snapshot") == ["segments"])
  }
}
