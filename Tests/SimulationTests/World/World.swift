import AgentService
import BlockDiff
import MetricsExposition
import ReplModel
import TestSupport
import WireProtocol

@testable import ReplicationEngine

/// What a simulation found that must never be.
struct Violation: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Two agents in one process, on one thread, each made of a simulated machine as the daemon makes it of a real one. The
/// source has live volumes, of which the target holds points; the other way round as well, where a test wants it.
///
/// Remembers the bytes of every snapshot from the first message that names it, and judges who holds points by them.
final class World: @unchecked Sendable {
  // Unchecked: the simulation runs on one thread.

  let clock = VirtualClock()
  let source: Machine
  let target: Machine
  let key: FingerprintKey
  var faults: Faults
  var generator: SeededGenerator
  var shippedBytes: UInt64 = 0
  /// Asked for by directed tests; return true to cut the connection before or after a request.
  var cutBefore: (ControlRequest) -> Bool = { _ in false }
  var cutAfter: (ControlRequest) -> Bool = { _ in false }
  /// What a target that lies makes of its answer.
  var answer: (ControlRequest, ControlReply) -> ControlReply = { $1 }
  /// Called for each request the source sends.
  var onRequest: (ControlRequest) -> Void = { _ in }
  /// Called for each chunk the source sends.
  var onChunk: () -> Void = {}
  /// Chunks after which the stream is cut once.
  var chunksUntilCut: Int?
  var mode = PairMode.disasterRecovery
  /// Whether Migrations accept that a volume became smaller.
  var acceptsShrinking = false
  /// Seals that the source asked the target to prove: one for each session, and one more for each that did not match.
  private(set) var sealsSent = 0
  /// Bytes of every snapshot, by its id.
  private(set) var model: [PointID: [UInt8]] = [:]
  private var runs = 0
  /// Whether a disk said that it is full: then the target deletes points above the floor.
  var hadNoSpace = false
  /// Points seen as sealed once, newest first.
  private var seen: [VolumeID: [CatalogPoint]] = [:]
  var lastReport: MigrationReport?
  /// The run under way.
  var currentRun: GroupRun? { source.core.runs.active(uid: "run-\(runs)") }

  init(seed: UInt64, volumeCount: Int = 1, size: UInt64 = 2 << 20) throws(ReplError) {
    generator = SeededGenerator(seed: seed)
    faults = Faults(generator.fork())
    key = FingerprintKey.random(using: &generator)
    source = try Machine("source", clock: clock, random: generator.fork())
    target = try Machine("target", clock: clock, random: generator.fork())
    try source.pair(with: target)
    try target.pair(with: source)
    try source.start(in: self)
    try target.start(in: self)
    for index in 0..<volumeCount { try addVolume("v\(index)", size: size, on: source) }
  }

  /// Makes a volume that a machine writes.
  func addVolume(_ name: String, size: UInt64, on machine: Machine) throws(ReplError) {
    let path = "/pool/volumes/\(name).img"
    let file = try machine.disk.open(path, .createNew)
    try file.truncate(to: size)
    try file.synchronize()
    try file.close()
    try machine.disk.synchronizeDirectory("/pool/volumes")
    let volume = VolumeRecord(
      replica: Replica(
        cluster: machine.cluster, volume: .random(using: &generator), namespace: "app", name: name,
        authority: Authority(
          lineage: .random(using: &generator), branch: Branch(epoch: 1, id: .random(using: &generator)), role: .source),
        pool: "main"),
      path: path, isDevice: false, size: size, allowFuzzy: false, nextGeneration: 1, distrustReason: nil,
      fullReason: nil)
    try machine.database.write { [key] database in
      try LineageKeys.save(database, volume.lineage, key)
      try volume.insert(database)
    }
    machine.volumes.append(volume)
  }

  // MARK: The agents

  /// Volumes that the source writes.
  var volumes: [VolumeRecord] { source.volumes }
  var service: TargetService { target.core.target }
  var stillness: Stillness { source.stillness }
  var sourceMetrics: MetricsRegistry { source.metrics }
  var targetMetrics: MetricsRegistry { target.metrics }
  var sourceEvents: EventHub { source.events }
  var targetEvents: EventHub { target.events }
  var sourceContext: SourceContext { source.core.source }

  var onFlush: () -> Void {
    get { source.onFlush }
    set { source.onFlush = newValue }
  }

  var retention: RetentionPolicy {
    get { target.retention }
    set { target.retention = newValue }
  }

  /// What the target works with, as its next start will be configured.
  var targetContext: TargetContext {
    var context = service.context
    context.configuration = target.configuration
    return context
  }

  func other(_ machine: Machine) -> Machine { machine === source ? target : source }

  /// A machine starts after a power cut, as the daemon does.
  func reboot(_ machine: Machine) throws(ReplError) { try machine.reboot(in: self, using: &generator) }

  @discardableResult
  func rebootTarget() throws(ReplError) -> TargetRecovery.Report {
    try reboot(target)
    return target.core.recovery
  }

  /// The target's process ends in good order and starts again.
  func restartService() throws(ReplError) { try target.restart(in: self) }

  func rebootSource() throws(ReplError) { try reboot(source) }

  func cutsBefore(_ request: ControlRequest) -> Bool { cutBefore(request) }
  func cutsAfter(_ request: ControlRequest) -> Bool { cutAfter(request) }

  func cutsAfterChunk() -> Bool {
    guard let left = chunksUntilCut else { return false }
    chunksUntilCut = left > 1 ? left - 1 : nil
    return left <= 1
  }

  // MARK: Runs

  /// A new Migration of all volumes; nil when the source lost its power, or was stopped.
  @discardableResult
  func migrate() throws(ReplError) -> MigrationReport? { run(try ask()) }

  /// Asks for a Migration of some volumes, or of all, which ``run(_:)`` runs.
  func ask(_ some: [VolumeRecord]? = nil) throws(ReplError) -> RunRecord {
    runs += 1
    let wanted = some ?? volumes
    let reference = ObjectReference(kind: "Migration", namespace: "app", name: "m\(runs)", uid: "run-\(runs)")
    let pair = ObjectReference(kind: "ClusterPair", namespace: "app", name: "pair", uid: "pair")
    let request = StoredRunRequest(
      reference: reference, pair: pair, volumes: wanted.map(\.id), generations: wanted.map { _ in .max },
      acceptShrink: acceptsShrinking,
      mode: mode)
    let reports = wanted.map { VolumeRunReport(volume: $0.id.description, namespace: $0.namespace, name: $0.name) }
    let record = RunRecord(
      request: request, peer: "target", group: .random(using: &generator), state: .running,
      report: MigrationReport(uid: reference.uid, state: .running, reason: "", volumes: reports),
      createdAt: clock.now())
    try source.database.write { try record.save($0) }
    return record
  }

  /// Takes up the runs that a power cut interrupted.
  func resumeRuns() throws(ReplError) {
    for record in try source.database.read({ try RunRecord.unfinished($0) }) { _ = run(record) }
  }

  /// Runs what was asked for; nil when the source lost its power, or was stopped.
  @discardableResult
  func run(_ record: RunRecord, on machine: Machine? = nil) -> MigrationReport? {
    let machine = machine ?? source
    clock.advance(seconds: 1)
    for volume in machine.volumes {
      machine.versions[volume.id, default: []].append(machine.disk.contents(volume.path) ?? [])
    }
    machine.core.runs.submit(record)
    let ended = (try? machine.database.read { try RunRecord.find($0, uid: record.uid) }) ?? nil
    lastReport = ended.flatMap { $0.state.isFinal ? $0.report : nil }
    return machine.power.isDown ? nil : lastReport
  }

  // MARK: The model

  func live(_ volume: VolumeRecord) -> [UInt8] { source.disk.contents(volume.path) ?? [] }

  /// Remembers a snapshot when it is first named to the other side.
  func sends(_ request: ControlRequest, from machine: Machine) throws(ReplError) {
    onRequest(request)
    if case .sealSession = request { sealsSent += 1 }
    guard case .beginSession(let begin) = request, model[begin.snapshot] == nil else { return }
    let image = machine.layout.snapshot(begin.volume, begin.snapshot).image
    let live = machine.volumes.first { $0.id == begin.volume }.flatMap { machine.disk.contents($0.path) }
    guard let bytes = machine.disk.contents(image) ?? live else {
      throw ReplError(.bug, subject: image, cause: "there is no image of a snapshot that is being shipped")
    }
    guard machine.versions[begin.volume]?.contains(where: { BytePattern.areEqual($0[...], bytes[...]) }) == true else {
      throw ReplError(.bug, subject: image, cause: "the snapshot is no point in time of its volume")
    }
    model[begin.snapshot] = bytes
  }

  func points(_ volume: VolumeRecord) throws(ReplError) -> [CatalogPoint] {
    try target.database.read { try CatalogPoint.all($0, cluster: "source", volume: volume.id) }
  }

  /// Newest points of a volume that retention never deletes.
  private var guaranteed: Int { hadNoSpace ? retention.floor : retention.keepLast }

  /// Everything that must be true at any moment.
  ///
  /// - Parameter thorough: reads every point; else the two newest of each volume.
  func check(thorough: Bool = true) throws {
    var groups: [GroupID: Set<VolumeID>] = [:]
    var kept: [GroupID: [GroupMember]] = [:]
    for volume in volumes {
      let held = try points(volume)
      for (rank, point) in held.enumerated() {
        groups[point.seal.group, default: []].insert(volume.id)
        if rank < guaranteed { kept[point.seal.group] = point.seal.members }
        if thorough || rank < 2 { try check(point, of: volume) }
      }
      try checkKept(volume, held)
      try checkTwins(volume, held)
    }
    for (group, members) in kept where Set(members.map(\.volume)) != groups[group] {
      throw Violation("group \(group) is not whole")
    }
  }

  /// A point that was sealed stays, unless newer ones let retention have it.
  private func checkKept(_ volume: VolumeRecord, _ held: [CatalogPoint]) throws {
    let known = seen[volume.id, default: []]
    let all = (known.filter { old in !held.contains { $0.point == old.point } } + held)
      .sorted { $0.seal.generation > $1.seal.generation }
    if let lost = all.prefix(guaranteed).first(where: { old in !held.contains { $0.point == old.point } }) {
      throw Violation("point \(lost.point) was sealed and is gone")
    }
    for point in held {
      guard let old = known.first(where: { $0.point == point.point }), old.seal != point.seal else { continue }
      throw Violation("the seal of point \(point.point) changed")
    }
    seen[volume.id] = all
  }

  private func check(_ point: CatalogPoint, of volume: VolumeRecord) throws {
    guard point.state == .sealed else { throw Violation("point \(point.point) is \(point.state.name)") }
    let image = target.layout.point(try SourceVolume(cluster: "source", volume: volume.id), point.point).image
    guard let bytes = target.disk.contents(image), let expected = model[point.point] else {
      throw Violation("point \(point.point) is recorded as sealed and not there")
    }
    guard BytePattern.areEqual(bytes[...], expected[...]) else {
      throw Violation("point \(point.point), generation \(point.seal.generation), is not its snapshot")
    }
    // Equal bytes have equal sums: once is enough.
    guard seen[volume.id]?.contains(where: { $0.point == point.point }) != true else { return }
    let sum = bytes.withUnsafeBytes { FingerprintWalk(key: key).sum(of: $0, at: 0) }
    guard sum.fingerprint == point.seal.fingerprint, sum.nonZeroBlocks == point.seal.nonZeroBlocks else {
      throw Violation("the seal of point \(point.point) is not the sum of its bytes")
    }
  }

  /// The base the source would offer is held by the target with the same seal, and its twin is whole.
  private func checkTwins(_ volume: VolumeRecord, _ held: [CatalogPoint]) throws {
    let twins = try source.database.read { try SnapshotRecord.all($0, volume: volume.id, peer: "target") }
    guard let twin = twins.first(where: { $0.state == .sealed }) else { return }
    guard let point = held.first(where: { $0.point == twin.point }), point.seal == twin.seal else {
      throw Violation("the source takes \(twin.point) for sealed and the target does not")
    }
    guard twin.hasImage, let known = model[twin.point] else { return }
    guard let bytes = source.disk.contents(twin.imagePath), BytePattern.areEqual(bytes[...], known[...]) else {
      throw Violation("twin \(twin.point) is not its snapshot")
    }
  }

  // MARK: The life of volumes

  func write(_ volume: VolumeRecord, _ bytes: [UInt8], at offset: UInt64) throws(ReplError) {
    try edit(volume) { (file) throws(ReplError) in
      try bytes.withUnsafeBufferPointer { (bytes) throws(ReplError) in
        try file.write(UnsafeRawBufferPointer(bytes), at: offset)
      }
    }
  }

  func edit(
    _ volume: VolumeRecord, _ body: (any StorageFile) throws(ReplError) -> Void
  ) throws(ReplError) {
    let file = try source.disk.open(volume.path, .readWrite)
    try body(file)
    try file.synchronize()
    try file.close()
  }

  /// Some writes, holes and growth at random places.
  func live(steps: Int) throws(ReplError) {
    for volume in volumes {
      for _ in 0..<steps {
        try edit(volume) { (file) throws(ReplError) in try self.change(file) }
      }
    }
  }

  private func change(_ file: any StorageFile) throws(ReplError) {
    let size = try file.size()
    let offset = UInt64.random(in: 0..<size, using: &generator)
    let aligned = generator.oneIn(3) ? offset : offset / blockSize * blockSize
    let length = min(UInt64.random(in: 1...96, using: &generator) * (generator.oneIn(3) ? 513 : 4096), size - aligned)
    switch Int.random(in: 0..<12, using: &generator) {
    case 0, 1: try file.punchHole(Extent(offset: aligned, length: length))
    case 2 where size < 5 << 20:
      try file.truncate(to: size + UInt64.random(in: 1...700_000, using: &generator))
    case 3:
      let zeros = [UInt8](repeating: 0, count: Int(length))
      try zeros.withUnsafeBufferPointer { (bytes) throws(ReplError) in
        try file.write(UnsafeRawBufferPointer(bytes), at: aligned)
      }
    default:
      let bytes = BytePattern.random(count: Int(length), using: &generator)
      try bytes.withUnsafeBufferPointer { (bytes) throws(ReplError) in
        try file.write(UnsafeRawBufferPointer(bytes), at: aligned)
      }
    }
  }
}
