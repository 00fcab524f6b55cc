import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite("Files of a promotion")
struct PromotionFileTests {
  private let path = "/pool/volumes/shop/db.img"

  private func mark(_ point: PointID, live: Bool = false) -> PromotionMark {
    PromotionMark(
      point: point, path: path, site: "west", promotedAt: Timestamp(nanoseconds: 1_700_000_000_000_000_001),
      branch: Branch(epoch: 2, id: BranchID(high: 7, low: 8)), isLive: live)
  }

  @Test("A mark reads back as it was written, and is gone when it is taken back")
  func markReadsBack() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 4))
    let store = fixture.store
    #expect(try store.promotionMark(of: fixture.source) == nil)
    try store.write(mark(point.id), of: fixture.source)
    try store.write(mark(point.id, live: true), of: fixture.source)
    #expect(try store.promotionMark(of: fixture.source) == mark(point.id, live: true))
    #expect(try store.points(of: fixture.source).sealed.map(\.id) == [point.id])
    try store.removePromotionMark(of: fixture.source)
    #expect(try store.promotionMark(of: fixture.source) == nil)
  }

  @Test("A damaged mark is an error, never no mark")
  func damagedMark() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 1))
    try fixture.store.write(mark(point.id), of: fixture.source)
    let file = try fixture.disk.open(fixture.store.layout.promotion(of: fixture.source), .readWrite)
    try [UInt8(0xFF)].withUnsafeBytes { try file.write($0, at: 30) }
    try file.close()
    #expect(errorKind { _ = try fixture.store.promotionMark(of: fixture.source) } == .damaged)
  }

  @Test("The live file is the ready clone if that is of the point, else a clone of its own", arguments: [true, false])
  func live(ready: Bool) throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 9, extra: 100)
    let point = try fixture.makePoint(bytes)
    if ready { try fixture.store.prepareReadyClone(of: point) }
    fixture.disk.gate.startLog()
    try fixture.store.makeLive(point, at: path)
    #expect(fixture.disk.gate.log.contains { $0.kind == .clone } == !ready)
    #expect(fixture.disk.contents(path) == bytes)
    #expect(try fixture.store.readyClone(for: fixture.source) == nil)
    #expect(try fixture.store.checkStamp(point) == nil)
    // It lasts, and making it again changes nothing.
    fixture.disk.crash(using: &fixture.generator)
    #expect(fixture.disk.contents(path) == bytes)
    fixture.disk.gate.startLog()
    try fixture.store.makeLive(point, at: path)
    #expect(!fixture.disk.gate.log.contains { $0.kind == .clone || $0.kind == .rename && $0.path == path })
  }

  @Test("Where a rename is refused, as between btrfs subvolumes, the file is a clone")
  func otherSubvolume() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let point = try fixture.makePoint(bytes)
    try fixture.store.prepareReadyClone(of: point)
    let path = path
    let refusal = ReplError(.refused, subject: path, cause: "Invalid cross-device link")
    fixture.disk.gate.fail(with: refusal) { $0.kind == .rename && $0.path == path }
    try fixture.store.makeLive(point, at: path)
    #expect(fixture.disk.contents(path) == bytes)
    #expect(try fixture.store.readyClone(for: fixture.source) == nil)
  }

  @Test("After a power cut at any change the live file is whole or not there, and can be made")
  func powerCuts() throws {
    for operations in 0... {
      var fixture = try TargetFixture(seed: UInt64(operations + 1))
      let bytes = fixture.randomVolume(blocks: 5)
      let point = try fixture.makePoint(bytes)
      if operations % 2 == 0 { try fixture.store.prepareReadyClone(of: point) }
      fixture.disk.gate.stopAfter(operations / 2)
      let isCut = errorKind { try fixture.store.makeLive(point, at: path) } != nil
      fixture.disk.crash(using: &fixture.generator)
      fixture.disk.gate.reset()
      if let found = fixture.disk.contents(path) { #expect(found == bytes, "after \(operations / 2) operations") }
      try fixture.store.makeLive(point, at: path)
      #expect(fixture.disk.contents(path) == bytes)
      #expect(fixture.disk.contents(point.paths.image) == bytes)
      guard isCut || operations % 2 == 0 else { break }
      #expect(operations < 200)
    }
  }

  @Test("A clone gets the file's name when it is durable, and then the name is made durable")
  func cloneFirst() throws {
    var fixture = try TargetFixture()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 5))
    let path = path
    fixture.disk.gate.startLog()
    try fixture.store.makeLive(point, at: path)
    let log = fixture.disk.gate.log
    let synced = try #require(log.firstIndex { $0.kind == .synchronize && $0.path == path + ".promoting" })
    let named = try #require(log.firstIndex { $0.kind == .rename && $0.path == path })
    let directory = try #require(
      log.lastIndex { $0.kind == .synchronizeDirectory && $0.path == parentDirectory(of: path) })
    #expect(synced < named)
    #expect(named < directory)
  }
}
