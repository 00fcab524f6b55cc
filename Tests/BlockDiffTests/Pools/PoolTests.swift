import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct PoolTests {
  private let owner = PoolOwner(cluster: "west", node: "w1")

  private func disk(_ kind: FileSystemKind = .xfs) throws -> SimulatedDisk {
    let disk = SimulatedDisk(kind)
    try disk.makeDirectory("/pool")
    try disk.synchronizeDirectory("/")
    return disk
  }

  private func open(
    _ disk: SimulatedDisk, owner: PoolOwner? = nil, locks: SimulatedPoolLocks = SimulatedPoolLocks(), id: UInt64 = 1
  ) throws -> Pool {
    try Pool.open(
      "/pool", owner: owner ?? self.owner, storage: disk, lock: locks, newID: PoolID(high: 0, low: id))
  }

  @Test func aPoolKeepsItsIdentity() throws {
    let disk = try disk()
    let first = try open(disk, id: 1)
    let second = try open(disk, id: 2)
    #expect(first.id == second.id)
    #expect(second.supportsPoints && second.fileSystem == .xfs)
  }

  @Test func aKnownPoolIsNotMadeAnewInTheEmptyDirectoryOfAFileSystemThatIsNotMounted() throws {
    let disk = try disk()
    for known in [Pool.Known(id: nil), Pool.Known(id: PoolID(high: 0, low: 1))] {
      let error = #expect(throws: ReplError.self) {
        try Pool.open("/pool", owner: owner, known: known, storage: disk, lock: SimulatedPoolLocks())
      }
      #expect(error?.kind == .refused && error?.remedy?.contains("mount") == true)
      #expect(try disk.listIfPresent("/pool/.repl-agent").isEmpty, "nothing is made")
    }
    let pool = try open(disk, id: 1)
    _ = try Pool.open(
      "/pool", owner: owner, known: Pool.Known(id: pool.id), storage: disk, lock: SimulatedPoolLocks())
    let other = #expect(throws: ReplError.self) {
      try Pool.open(
        "/pool", owner: owner, known: Pool.Known(id: PoolID(high: 0, low: 9)), storage: disk,
        lock: SimulatedPoolLocks())
    }
    #expect(other?.kind == .refused && other?.cause.contains("\(pool.id)") == true)
  }

  @Test func aPoolThatIsUnmountedWhileItIsOpenSaysSo() throws {
    let disk = try disk()
    let pool = try open(disk)
    try pool.requirePresent()
    try disk.rename("/pool", to: "/elsewhere")
    try disk.makeDirectory("/pool")
    let error = #expect(throws: ReplError.self) { try pool.requirePresent() }
    #expect(error?.kind == .io && error?.cause.contains("not mounted") == true)
  }

  @Test func aPoolOfAnotherAgentIsRefusedNamingBoth() throws {
    let disk = try disk()
    _ = try open(disk)
    for other in [PoolOwner(cluster: "west", node: "w2"), PoolOwner(cluster: "east", node: "w1")] {
      do {
        _ = try open(disk, owner: other)
        Issue.record("opened")
      } catch let error as ReplError {
        #expect(error.kind == .refused)
        #expect(error.cause.contains("\(owner)") && error.cause.contains("\(other)"))
        #expect(error.remedy != nil)
      }
    }
  }

  @Test func aPoolInUseIsRefused() throws {
    let disk = try disk()
    let locks = SimulatedPoolLocks()
    let first = try open(disk, locks: locks)
    #expect(errorKind { _ = try open(disk, locks: locks) } == .refused)
    first.close()
    _ = try open(disk, locks: locks)
  }

  @Test func aNewerFormatIsRefusedByName() throws {
    let disk = try disk()
    _ = try open(disk)
    disk.tamper("/pool/.repl-agent/superblock", at: 8, [2])
    do {
      _ = try open(disk)
      Issue.record("opened")
    } catch let error as ReplError {
      #expect(error.kind == .refused)
      #expect(error.cause.contains("version 2") && error.remedy?.contains("newer") == true)
    }
  }

  @Test func aDamagedSuperblockIsNotOverwritten() throws {
    let disk = try disk()
    _ = try open(disk)
    disk.corrupt("/pool/.repl-agent/superblock", at: 20)
    #expect(errorKind { _ = try open(disk) } == .damaged)
  }

  @Test func aPoolWithPointsAndWithoutASuperblockIsRefused() throws {
    let disk = try disk()
    _ = try open(disk)
    try disk.makeDirectory("/pool/.repl-agent/points/east")
    try disk.removeFile("/pool/.repl-agent/superblock")
    #expect(errorKind { _ = try open(disk) } == .damaged)
  }

  @Test func aFileSystemWithoutReflinksHoldsNoPointsAndSaysWhatHelps() throws {
    let pool = try open(try disk(.other(magic: 0xef53)))
    #expect(!pool.supportsPoints)
    let refusal = try #require(pool.pointRefusal)
    #expect(refusal.kind == .refused)
    #expect(refusal.remedy?.contains("btrfs") == true && refusal.remedy?.contains("sources") == true)
  }

  @Test func xfsMadeWithoutReflinksIsFoundByTrying() throws {
    let disk = try disk()
    disk.gate.fail(with: ReplError(.refused, subject: "probe", cause: "operation not supported")) { $0.kind == .clone }
    let pool = try open(disk)
    #expect(!pool.supportsPoints)
  }

  @Test func aMissingDirectoryIsNotMade() throws {
    #expect(
      errorKind { _ = try Pool.open("/nowhere", owner: owner, storage: SimulatedDisk(), lock: SimulatedPoolLocks()) }
        == .notFound)
  }

  @Test func aCrashAtAnyOperationOfTheFirstOpenLeavesAPoolThatOpens() throws {
    for operation in 0..<24 {
      for seed in 0..<5 as Range<UInt64> {
        let disk = try disk()
        disk.gate.stopAfter(operation)
        let first = try? open(disk, id: 1)
        var generator = SeededGenerator(seed: seed)
        disk.crash(using: &generator)
        let second = try open(disk, id: 2)
        if first != nil { #expect(second.id == PoolID(high: 0, low: 1)) }
        #expect(second.supportsPoints)
      }
    }
  }

  // MARK: Sweep

  @Test func aSweepKeepsWhatRecordsNameAndWhatIsAPoint() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let known = try fixture.makePoint(bytes)
    let unknown = try fixture.makePoint(bytes, generation: 2)
    try fixture.store.prepareReadyClone(of: known)
    let area = try fixture.open(fixture.identity(fixture.newID(), base: known.id, size: bytes.count))
    try area.close()
    let layout = fixture.pool.layout
    let volume = VolumeID(high: 1, low: 1)
    let (kept, lost) = (fixture.newID(), fixture.newID())
    try fixture.disk.makeDirectory("\(layout.snapshots)/\(volume)")
    for id in [kept, lost] { try fixture.disk.makeDirectory(layout.snapshot(volume, id).directory) }
    let half = layout.point(fixture.source, fixture.newID())
    try fixture.disk.makeDirectory(half.directory)

    let contents = PoolContents(
      snapshots: [volume: [kept]], points: [fixture.source: [known.id]], staging: [fixture.source])
    var report = try fixture.pool.sweep(keeping: contents)
    #expect(Set(report.removed) == [half.directory, layout.snapshot(volume, lost).directory])
    #expect(report.unrecorded == [unknown.paths])
    #expect(report.missing.isEmpty)
    #expect(try fixture.disk.list("\(layout.snapshots)/\(volume)") == ["\(kept)"])

    // Without any record: the staging area goes, data never does.
    report = try fixture.pool.sweep(keeping: PoolContents())
    #expect(Set(report.unrecorded) == [known.paths, unknown.paths])
    #expect(try fixture.disk.list(layout.staging).isEmpty)
    #expect(fixture.disk.contents(known.paths.image) == bytes)
  }

  @Test func aSweepReportsPointsThatAreGone() throws {
    var fixture = try TargetFixture()
    let gone = fixture.newID()
    let report = try fixture.pool.sweep(keeping: PoolContents(points: [fixture.source: [gone]]))
    #expect(report.missing == [fixture.pool.layout.point(fixture.source, gone)])
  }

  @Test func aPreparedPointIsNotSweptAway() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))
    let report = try fixture.pool.sweep(keeping: PoolContents())
    #expect(report.unrecorded == [fixture.pool.layout.staging(fixture.source)])
    #expect(try fixture.store.preparedPoints().map(\.seal.point) == [id])
  }
}
