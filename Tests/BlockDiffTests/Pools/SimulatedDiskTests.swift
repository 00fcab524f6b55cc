import BlockDiff
import ReplModel
import TestSupport
import Testing

/// The simulated disk is what crash tests stand on: it must lose what a real one may lose, and nothing else.
@Suite struct SimulatedDiskTests {
  private let old = BytePattern.bytes(tag: 1, count: 40960)
  private let new = BytePattern.bytes(tag: 2, count: 40960)
  private let error = ReplError(.io, subject: "disk", cause: "input/output error")

  private func write(_ file: any StorageFile, _ bytes: [UInt8], at offset: UInt64 = 0) throws {
    try bytes.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: offset) }
  }

  /// A disk with the durable file `/f` that holds `old`.
  private func disk() throws -> (SimulatedDisk, any StorageFile) {
    let disk = SimulatedDisk()
    let file = try disk.open("/f", .createNew)
    try write(file, old)
    try file.synchronize()
    try disk.synchronizeDirectory("/")
    return (disk, file)
  }

  private func crashed(_ disk: SimulatedDisk, seed: UInt64) -> SimulatedDisk {
    var generator = SeededGenerator(seed: seed)
    return disk.crashedCopy(using: &generator)
  }

  @Test func whatWasSyncedIsNeverLost() throws {
    let (disk, file) = try disk()
    try write(file, new)
    try file.synchronizeData()
    for seed in 0..<50 as Range<UInt64> { #expect(crashed(disk, seed: seed).contents("/f") == new) }
  }

  @Test func whatWasNotSyncedIsLostInPartsThatVary() throws {
    let (disk, file) = try disk()
    try write(file, new)
    var outcomes: Set<[UInt8]> = []
    for seed in 0..<200 as Range<UInt64> {
      let left = try #require(crashed(disk, seed: seed).contents("/f"))
      outcomes.insert(left)
      for sector in stride(from: 0, to: left.count, by: 512) {
        let range = sector..<sector + 512
        #expect(
          BytePattern.areEqual(left[range], old[range]) || BytePattern.areEqual(left[range], new[range]))
      }
    }
    #expect(outcomes.contains(old) && outcomes.contains(new) && outcomes.count > 20)
  }

  @Test func anEarlierStateOfABlockMayComeBack() throws {
    let (disk, file) = try disk()
    let between = BytePattern.bytes(tag: 3, count: 40960)
    try write(file, between)
    try write(file, new)
    let found = (0..<200 as Range<UInt64>).compactMap { crashed(disk, seed: $0).contents("/f") }
    #expect(found.contains { BytePattern.areEqual($0[..<4096], between[..<4096]) })
  }

  @Test func theSameSeedGivesTheSameCrash() throws {
    let (disk, file) = try disk()
    try write(file, new)
    for seed in 0..<20 as Range<UInt64> {
      #expect(crashed(disk, seed: seed).contents("/f") == crashed(disk, seed: seed).contents("/f"))
    }
  }

  @Test func namesThatWereNotSyncedMayVanish() throws {
    let (disk, _) = try disk()
    let file = try disk.open("/g", .createNew)
    try write(file, new)
    try file.synchronize()
    let found = (0..<50 as Range<UInt64>).map { crashed(disk, seed: $0).contents("/g") }
    #expect(found.contains(nil) && found.contains(new))
    try disk.synchronizeDirectory("/")
    #expect((0..<50 as Range<UInt64>).allSatisfy { crashed(disk, seed: $0).contents("/g") == new })
  }

  @Test func aRemovedFileMayComeBack() throws {
    let (disk, _) = try disk()
    try disk.removeFile("/f")
    let found = (0..<50 as Range<UInt64>).map { crashed(disk, seed: $0).contents("/f") }
    #expect(found.contains(nil) && found.contains(old))
  }

  @Test func aRenameHappensWhollyOrNot() throws {
    let (disk, _) = try disk()
    try disk.makeDirectory("/a")
    try disk.makeDirectory("/b")
    try disk.synchronizeDirectory("/")
    try disk.rename("/f", to: "/a/f")
    try disk.synchronizeDirectory("/a")
    try disk.rename("/a/f", to: "/b/f")
    var places: Set<String> = []
    for seed in 0..<50 as Range<UInt64> {
      let left = crashed(disk, seed: seed)
      let found = ["/a/f", "/b/f"].filter { left.contents($0) == old }
      #expect(found.count == 1)
      places.formUnion(found)
    }
    #expect(places.count == 2)
    // Syncing the one directory makes the rename durable in the other.
    try disk.synchronizeDirectory("/b")
    for seed in 0..<50 as Range<UInt64> {
      #expect(crashed(disk, seed: seed).paths == ["/a/", "/b/", "/b/f"])
    }
  }

  @Test func changesOfOneDirectoryAreLostFromTheLastOne() throws {
    let disk = SimulatedDisk()
    for name in ["/1", "/2", "/3", "/4"] { try disk.makeDirectory(name) }
    var counts: Set<Int> = []
    for seed in 0..<100 as Range<UInt64> {
      let left = crashed(disk, seed: seed).paths
      #expect(left == Array(["/1/", "/2/", "/3/", "/4/"][..<left.count]))
      counts.insert(left.count)
    }
    #expect(counts == [0, 1, 2, 3, 4])
  }

  @Test func aSyncThatFailedOnceLosesItsWritesForGood() throws {
    let (disk, file) = try disk()
    try write(file, new)
    disk.gate.fail(with: error) { $0.kind == .synchronize }
    #expect(errorKind { try file.synchronize() } == .io)
    try file.synchronize()
    // The page cache still shows them.
    #expect(disk.contents("/f") == new)
    for seed in 0..<20 as Range<UInt64> { #expect(crashed(disk, seed: seed).contents("/f") == old) }
    let clone = try disk.clone(file, to: "/g")
    #expect(disk.contents("/g") == old)
    try clone.close()
    file.dropCache(Extent(offset: 0, length: 40960))
    #expect(disk.contents("/f") == old)
  }

  @Test func anUnsyncedCloneMayBeEmptyOrGone() throws {
    let (disk, file) = try disk()
    let clone = try disk.clone(file, to: "/g")
    let found = Set((0..<100 as Range<UInt64>).map { crashed(disk, seed: $0).contents("/g") })
    #expect(found == [nil, [], old])
    try clone.synchronize()
    try disk.synchronizeDirectory("/")
    #expect((0..<50 as Range<UInt64>).allSatisfy { crashed(disk, seed: $0).contents("/g") == old })
  }

  @Test func extentMapsAreThoseOfAReflinkFileSystem() throws {
    let (disk, file) = try disk()
    let clone = try disk.clone(file, to: "/g")
    let before = try file.extentMap(from: 0, limit: 100, sync: true)
    #expect(before.map(\.logical) == [Extent(offset: 0, length: 40960)])
    #expect(before == (try clone.extentMap(from: 0, limit: 100, sync: true)))
    try write(clone, Array(old[8192..<12288]), at: 8192)
    try clone.punchHole(Extent(offset: 20480, length: 4096))
    let after = try clone.extentMap(from: 0, limit: 100, sync: true)
    #expect(
      after.map(\.logical) == [
        Extent(offset: 0, length: 8192), Extent(offset: 8192, length: 4096), Extent(offset: 12288, length: 8192),
        Extent(offset: 24576, length: 16384),
      ])
    #expect(after[0].physical == before[0].physical)
    #expect(after[1].physical != before[0].physical + 8192)
    #expect(after[3].physical == before[0].physical + 24576)
    #expect(disk.contents("/f") == old)
    #expect(try clone.nextData(from: 20480) == Extent(offset: 24576, length: 16384))
    #expect(try clone.extentMap(from: 0, limit: 2, sync: true).count == 2)
  }

  @Test func damageHitsAllThatShareTheBlock() throws {
    let (disk, file) = try disk()
    try disk.clone(file, to: "/g").close()
    let stamp = try file.stamp()
    #expect(disk.corrupt("/f", at: 5000, bit: 3))
    var damaged = old
    damaged[5000] ^= 8
    #expect(disk.contents("/f") == damaged && disk.contents("/g") == damaged)
    #expect(try file.stamp() == stamp)
    for seed in 0..<5 as Range<UInt64> { #expect(crashed(disk, seed: seed).contents("/f") == damaged) }
  }

  @Test func aFullDiskRefusesWritesUntilThereIsRoom() throws {
    let disk = SimulatedDisk(capacity: 40960)
    let file = try disk.open("/f", .createNew)
    try write(file, old)
    let other = try disk.clone(file, to: "/g")
    #expect(errorKind { try write(other, [1], at: 0) } == .noSpace)
    try disk.removeFile("/f")
    #expect(try disk.space(at: "/").available == 0)
    try other.truncate(to: 4096)
    try write(other, [1], at: 0)
  }

  @Test func afterAPowerCutNothingWorksUntilTheCrash() throws {
    let (disk, file) = try disk()
    disk.gate.stopAfter(1)
    try write(file, new)
    #expect(errorKind { try file.synchronize() } != nil)
    #expect(errorKind { _ = try file.size() } != nil)
    #expect(errorKind { _ = try disk.list("/") } != nil)
    var generator = SeededGenerator(seed: 1)
    disk.crash(using: &generator)
    #expect(try disk.list("/") == ["f"])
    // Files that were open are not any more.
    #expect(errorKind { _ = try file.size() } != nil)
  }

  @Test func faultsHitTheOperationTheyAreMeantFor() throws {
    let (disk, file) = try disk()
    disk.gate.failChange(number: 1, with: error)
    try write(file, [1], at: 0)
    #expect(errorKind { try write(file, [2], at: 1) } == .io)
    try write(file, [3], at: 2)
    #expect(disk.contents("/f")?.prefix(3) == [1, old[1], 3])
  }

  @Test func immutableFilesAreNotTouched() throws {
    let (disk, _) = try disk()
    try disk.setImmutable("/f", true)
    #expect(errorKind { _ = try disk.open("/f", .readWrite) } == .refused)
    #expect(errorKind { try disk.removeFile("/f") } == .refused)
    #expect(errorKind { try disk.rename("/f", to: "/g") } == .refused)
    try disk.makeDirectory("/d")
    #expect(errorKind { try disk.replace("/d", with: "/f") } == .refused)
    try disk.clone(disk.open("/f", .read), to: "/g").close()
    try disk.removeTree("/f")
    #expect(disk.paths == ["/d/", "/g"])
  }

  @Test func aRecordingStorageLogsInOrder() throws {
    let storage = RecordingStorage(SimulatedDisk())
    storage.gate.startLog()
    let file = try storage.open("/f", .createNew)
    try write(file, [1, 2])
    let clone = try storage.clone(file, to: "/g")
    try clone.synchronize()
    try storage.synchronizeDirectory("/")
    #expect(
      storage.gate.log.map(\.description) == [
        "create /f", "write /f 0+2", "clone /f -> /g", "synchronize /g", "synchronizeDirectory /",
      ])
    storage.gate.fail(with: error) { $0.kind == .synchronize }
    #expect(errorKind { try file.synchronize() } == .io)
  }
}
