import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// A medium that gives back everything but one block of a base.
@Suite struct UnreadableBaseTests {
  private static let fault = ReplError(.io, subject: "the file", cause: "cannot read: Input/output error")

  /// A volume with two points, changed since at a known place, and more.
  private static func world() throws -> World {
    let world = try World.written(1)
    for _ in 1...2 {
      #expect(try world.migrate()?.state == .succeeded)
      try world.live(steps: 2)
    }
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 300_000)
    return world
  }

  private static func failReads(of path: String, on disk: SimulatedDisk, at offset: UInt64? = nil) {
    disk.gate.fail(with: fault, once: false) { operation in
      guard operation.kind == .read, operation.path == path else { return false }
      guard let offset, let extent = operation.extent else { return true }
      return extent.offset <= offset && offset < extent.end
    }
  }

  private static func image(of point: CatalogPoint, _ world: World) throws -> String {
    world.target.layout.point(try SourceVolume(cluster: "source", volume: point.volume), point.point).image
  }

  private static func point(_ id: PointID, _ world: World) throws -> CatalogPoint {
    try #require(try world.points(world.volumes[0]).first { $0.point == id })
  }

  // MARK: At the source

  @Test("a twin that cannot be read is one without an image: the same migration goes on by its sums and says why")
  func twinImage() async throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    Self.failReads(of: twin.imagePath, on: world.source.disk, at: 300_000)
    var events = world.sourceEvents.subscribe().makeAsyncIterator()
    #expect(try world.migrate()?.state == .succeeded)
    let report = try #require(world.lastReport?.volumes.first)
    #expect(report.changeSource == "digest")
    #expect(report.reason.contains("the image of snapshot \(twin.point) cannot be read"))
    #expect(try world.twins().first { $0.point == twin.point }?.hasImage == false)
    let event = await events.next()
    #expect(event?.reason == "BaseLost")
    #expect(event?.message.contains("cannot be read") == true)
    #expect(try world.points(world.volumes[0]).first?.seal.base == twin.point, "its sums are good")
    try world.check()
  }

  @Test("a twin whose sums cannot be read is no base: the one before it is", arguments: [true, false])
  func twinSums(atOpen: Bool) throws {
    let world = try Self.world()
    let twins = try world.twins()
    let path = twins[0].segmentsPath
    world.source.disk.gate.fail(with: Self.fault, once: false) {
      $0.kind == .read && $0.path == path && (atOpen || ($0.extent?.offset ?? 0) >= blockSize)
    }
    // A clone of the table shares the blocks that cannot be read.
    let isCloned = Flag()
    world.source.disk.gate.fail(with: Self.fault, once: false) { operation in
      if operation.kind == .clone, operation.from == path { isCloned.set() }
      return operation.kind == .read && isCloned.isSet && operation.path.hasSuffix("/segments")
        && !twins.map(\.segmentsPath).contains(operation.path) && (operation.extent?.offset ?? 0) >= blockSize
        && !isCloned.isOver
    }
    world.onRequest = { request in
      if case .beginSession(let begin) = request, !begin.candidates.contains(where: { $0.point == twins[0].point }) {
        isCloned.end()
      }
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try world.points(world.volumes[0]).first?.seal.base == twins[1].point)
    #expect(try !world.twins().contains { $0.point == twins[0].point })
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try world.check()
  }

  @Test("a run that is cancelled while its twin cannot be read ends as cancelled")
  func cancelledMeanwhile() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    world.source.disk.gate.fail(with: Self.fault, once: false) { [unowned world] operation in
      guard operation.kind == .read, operation.path == twin.imagePath else { return false }
      world.currentRun?.cancel()
      return true
    }
    #expect(try world.migrate()?.state == .cancelled)
    world.source.disk.gate.reset()
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("while all of the file system fails, nothing is said of the twin, and the session fails")
  func wholeFileSystem() throws {
    let world = try Self.world()
    let twin = try #require(try world.twins().first)
    Self.failReads(of: twin.imagePath, on: world.source.disk)
    world.onRequest = { [unowned world] in
      guard case .startSession = $0 else { return }
      Self.failReads(of: world.source.layout.superblock, on: world.source.disk)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(try world.twins().first { $0.point == twin.point }?.hasImage == true)
    world.onRequest = { _ in }
    world.source.disk.gate.reset()
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try world.check()
  }

  @Test("what cannot be read of the snapshot itself fails the session with its place, and the base stays")
  func snapshotItself() throws {
    let world = try Self.world()
    let twins = try world.twins()
    world.source.disk.gate.fail(
      with: ReplError(.io, subject: "image", cause: "cannot read 4096 bytes at offset 300000"), once: false
    ) { operation in
      operation.kind == .read && operation.path.hasSuffix("/image") && !twins.map(\.imagePath).contains(operation.path)
    }
    #expect(try world.migrate()?.state == .failed)
    #expect(world.lastReport?.reason.contains("offset 300000") == true)
    #expect(try world.twins().map(\.hasImage) == [true, true])
    world.source.disk.gate.reset()
    #expect(try world.migrate()?.state == .succeeded)
    #expect(world.lastReport?.volumes.first?.changeSource == "reflink")
    try world.check()
  }

  // MARK: At the target

  @Test("a base that cannot be read at the seal is suspect with its segment, and the same migration goes on without it")
  func baseAtSeal() async throws {
    let world = try Self.world()
    let points = try world.points(world.volumes[0])
    Self.failReads(of: try Self.image(of: points[0], world), on: world.target.disk, at: 300_000)
    var events = world.targetEvents.subscribe().makeAsyncIterator()
    #expect(try world.migrate()?.state == .succeeded)
    let bad = try Self.point(points[0].point, world)
    #expect(bad.state == .suspect)
    #expect(bad.damaged == [0])
    let event = await events.next()
    #expect(event?.reason == "PointUnreadable")
    #expect(event?.object.name == points[0].point.description)
    #expect(try world.points(world.volumes[0]).first?.seal.base == points[1].point)
    try world.write(world.volumes[0], BytePattern.random(count: 4096, using: &world.generator), at: 300_000)
    #expect(try world.migrate()?.state == .succeeded)
  }

  @Test("a base whose sums or seal cannot be read is no base", arguments: ["segments", "seal"])
  func baseFiles(name: String) throws {
    let world = try Self.world()
    let points = try world.points(world.volumes[0])
    let image = try Self.image(of: points[0], world)
    Self.failReads(of: image.replacingSuffix("image", with: name), on: world.target.disk)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try Self.point(points[0].point, world).state == .suspect)
    #expect(try world.points(world.volumes[0]).first?.seal.base == points[1].point)
  }

  @Test("a point that cannot be read for a comparison is suspect, and the session compares with another one")
  func comparison() throws {
    let world = try Self.world()
    let points = try world.points(world.volumes[0])
    for twin in try world.twins() {
      try world.source.disk.setImmutable(twin.imagePath, false)
      try world.source.disk.removeTree(twin.directory)
    }
    Self.failReads(of: try Self.image(of: points[0], world), on: world.target.disk, at: 300_000)
    #expect(try world.migrate()?.state == .succeeded)
    #expect(try Self.point(points[0].point, world).state == .suspect)
    #expect(world.lastReport?.volumes.first?.fullReason.contains("\(points[1].point)") == true)
  }

  @Test("while all of the target's file system fails, no point becomes suspect")
  func wholeTarget() throws {
    let world = try Self.world()
    let points = try world.points(world.volumes[0])
    Self.failReads(of: try Self.image(of: points[0], world), on: world.target.disk)
    world.onRequest = { [unowned world] in
      guard case .sealSession = $0 else { return }
      Self.failReads(of: world.target.layout.superblock, on: world.target.disk)
    }
    #expect(try world.migrate()?.state == .failed)
    world.onRequest = { _ in }
    world.target.disk.gate.reset()
    #expect(try Self.point(points[0].point, world).state == .sealed)
    #expect(try world.migrate()?.state == .succeeded)
    try world.check()
  }

  @Test("a staging area whose ledger or header cannot be read is made anew", arguments: ["ledger", "header"])
  func staging(name: String) throws {
    let world = try World.written(1)
    world.cutBefore = { if case .sealSession = $0 { true } else { false } }
    world.onRequest = { [unowned world] in if case .sealSession = $0 { world.currentRun?.stop() } }
    #expect(try world.migrate() == nil)
    world.cutBefore = { _ in false }
    world.onRequest = { _ in }
    try world.restartService()
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    let path = world.target.layout.staging(source).directory + "/" + name
    #expect(try world.target.disk.exists(path))
    let isRemoved = Flag()
    world.target.disk.gate.fail(with: Self.fault, once: false) { operation in
      if operation.kind == .create || operation.kind == .replace, operation.path == path { isRemoved.set() }
      return operation.kind == .read && operation.path == path && !isRemoved.isSet
    }
    try world.resumeRuns()
    #expect(world.lastReport?.state == .succeeded)
    try world.check()
  }
}

/// Something that happened, remembered for a closure that may be called from anywhere.
private final class Flag: Sendable {
  private let state = Mutex<(isSet: Bool, isOver: Bool)>((false, false))
  var isSet: Bool { state.withLock { $0.isSet } }
  var isOver: Bool { state.withLock { $0.isOver } }
  func set() { state.withLock { $0.isSet = true } }
  func end() { state.withLock { $0.isOver = true } }
}

extension String {
  fileprivate func replacingSuffix(_ suffix: String, with other: String) -> String {
    String(dropLast(suffix.count)) + other
  }
}
