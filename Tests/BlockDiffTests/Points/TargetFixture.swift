import BlockDiff
import CStorageShims
import ReplModel
import TestSupport

/// A pool on a simulated disk, one source volume whose true bytes the test knows, and the steps of a session.
struct TargetFixture {
  let disk: SimulatedDisk
  let pool: Pool
  let clock = ManualClock()
  let source: SourceVolume
  let lineage: LineageID
  let key: FingerprintKey
  let branch: Branch
  var generator: SeededGenerator

  var store: PointStore { pool.points }

  init(seed: UInt64 = 1, capacity: UInt64? = nil) throws {
    let disk = SimulatedDisk(.xfs, capacity: capacity)
    try disk.makeDirectory("/pool")
    try disk.synchronizeDirectory("/")
    try self.init(seed: seed, disk: disk, pool: Self.openPool(disk))
  }

  /// A pool on a real file system; ``disk`` has nothing to do with it.
  init(seed: UInt64 = 1, realPool path: String, storage: any Storage = LinuxStorage()) throws {
    let pool = try Pool.open(path, owner: PoolOwner(cluster: "west", node: "w1"), storage: storage)
    try self.init(seed: seed, disk: SimulatedDisk(), pool: pool)
  }

  private init(seed: UInt64, disk: SimulatedDisk, pool: Pool) throws {
    var generator = SeededGenerator(seed: seed)
    self.disk = disk
    self.pool = pool
    source = try SourceVolume(cluster: "east", volume: .random(using: &generator))
    lineage = .random(using: &generator)
    key = .random(using: &generator)
    branch = Branch(epoch: 1, id: .random(using: &generator))
    self.generator = generator
  }

  /// The pool as an agent finds it at start-up.
  static func openPool(_ disk: SimulatedDisk) throws -> Pool {
    try Pool.open(
      "/pool", owner: PoolOwner(cluster: "west", node: "w1"), storage: disk, lock: SimulatedPoolLocks(),
      newID: PoolID(high: 1, low: 2))
  }

  mutating func newID() -> PointID { .random(using: &generator) }

  func identity(
    _ point: PointID, base: PointID?, size: Int, plan: UInt64 = 0, kind: StagingIdentity.Kind? = nil
  ) -> StagingIdentity {
    StagingIdentity(
      base: base, point: point, size: UInt64(size), planDigest: Fingerprint(low: plan, high: 0),
      kind: kind ?? (base == nil ? .full : .delta))
  }

  func open(_ identity: StagingIdentity) throws -> StagingArea {
    try StagingArea.open(identity, for: source, in: store, clock: clock.clock)
  }

  /// The source's seal of a snapshot that holds `bytes`.
  func seal(_ point: PointID, of bytes: [UInt8], base: PointID?, generation: UInt64 = 1) -> Seal {
    let sum = Self.referenceSum(bytes, key)
    return Seal(
      point: point, volume: source.volume, lineage: lineage, branch: branch, base: base, generation: generation,
      size: UInt64(bytes.count), fingerprint: sum.fingerprint, nonZeroBlocks: sum.nonZeroBlocks,
      takenAt: Timestamp(nanoseconds: 42), consistency: .volume, proof: base == nil ? .full : .delta,
      group: GroupID(high: 3, low: 4), members: [GroupMember(volume: source.volume, size: UInt64(bytes.count))])
  }

  func request(_ seal: Seal, at nanoseconds: Int64 = 1000) -> SealRequest {
    SealRequest(
      seal: seal, key: key, origin: .init(namespace: "shop", name: "db", clockOffset: -5),
      now: Timestamp(nanoseconds: nanoseconds))
  }

  /// Writes into a staging area what makes `old` into `new`, block by block; zeros as holes. Returns what was written.
  @discardableResult
  func ship(_ new: [UInt8], over old: [UInt8] = [], into area: StagingArea) throws -> ExtentSet {
    let changed = Self.changedBlocks(of: new, from: old)
    for extent in changed.extents { try Self.write(new, extent, into: area) }
    return changed
  }

  /// The blocks in which `new` differs from `old`, which counts as padded with zeros.
  static func changedBlocks(of new: [UInt8], from old: [UInt8]) -> ExtentSet {
    var changed = ExtentSet()
    for offset in stride(from: 0, to: new.count, by: Int(blockSize)) {
      let end = min(offset + Int(blockSize), new.count)
      let known = max(offset, min(end, old.count))
      let isSame = offset < known && BytePattern.areEqual(old[offset..<known], new[offset..<known])
      guard !((isSame || offset == known) && BytePattern.isZero(new[known..<end])) else { continue }
      changed.insert(Extent(from: UInt64(offset), to: UInt64(end)))
    }
    return changed
  }

  static func write(_ bytes: [UInt8], _ extent: Extent, into area: StagingArea) throws {
    let part = Array(bytes[Int(extent.offset)..<Int(extent.end)])
    if BytePattern.isZero(part[...]) { return try area.writeZeros(extent) }
    try part.withUnsafeBufferPointer { try area.write(UnsafeRawBufferPointer($0), at: extent.offset) }
  }

  /// A whole session that ends in a point.
  @discardableResult
  mutating func makePoint(
    _ bytes: [UInt8], base: (id: PointID, bytes: [UInt8])? = nil, generation: UInt64 = 1
  ) throws -> RecoveryPoint {
    let id = newID()
    let area = try open(identity(id, base: base?.id, size: bytes.count))
    try ship(bytes, over: base?.bytes ?? [], into: area)
    let outcome = try area.seal(request(seal(id, of: bytes, base: base?.id, generation: generation)))
    guard case .prepared = outcome else { throw Unexpected("\(outcome)") }
    return try store.publish(id, of: source)
  }

  /// A volume's bytes with holes, for `blocks` blocks and a few bytes more.
  mutating func randomVolume(blocks: Int, extra: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<blocks {
      bytes +=
        generator.oneIn(3)
        ? [UInt8](repeating: 0, count: Int(blockSize))
        : BytePattern.random(count: Int(blockSize), using: &generator)
    }
    return bytes + BytePattern.random(count: extra, using: &generator)
  }

  /// `bytes` with some blocks changed and some made zeros.
  mutating func mutated(_ bytes: [UInt8], changes: Int) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<changes where !bytes.isEmpty {
      let start = Int.random(in: 0..<bytes.count, using: &generator) / Int(blockSize) * Int(blockSize)
      let end = min(start + Int(blockSize) * Int.random(in: 1...4, using: &generator), bytes.count)
      let fresh =
        generator.oneIn(4)
        ? [UInt8](repeating: 0, count: end - start) : BytePattern.random(count: end - start, using: &generator)
      bytes.replaceSubrange(start..<end, with: fresh)
    }
    return bytes
  }

  /// Design section 6 word by word, block after block: what everything is compared with.
  static func referenceSum(_ bytes: [UInt8], _ key: FingerprintKey) -> BlockSum {
    var total = BlockSum.zero
    for (index, start) in stride(from: 0, to: bytes.count, by: Int(blockSize)).enumerated() {
      var block = Array(bytes[start..<min(start + Int(blockSize), bytes.count)])
      block += [UInt8](repeating: 0, count: Int(blockSize) - block.count)
      guard !BytePattern.isZero(block[...]) else { continue }
      let digest = css_xxh3_128_keyed(block, block.count, key.bytes, key.bytes.count)
      var term = ByteWriter()
      term.write(UInt64(index))
      term.write(digest.low)
      term.write(digest.high)
      let hash = css_xxh3_128_keyed(term.bytes, term.bytes.count, key.bytes, key.bytes.count)
      total += BlockSum(fingerprint: Fingerprint(low: hash.low, high: hash.high), nonZeroBlocks: 1)
    }
    return total
  }

  struct Unexpected: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }
}

/// The kind of the error that `body` throws; nil if it throws none.
func errorKind(_ body: () throws -> Void) -> ReplError.Kind? {
  do {
    try body()
    return nil
  } catch let error as ReplError {
    return error.kind
  } catch {
    return .bug
  }
}

/// All of a stream.
func collect(_ stream: some ExtentStream) throws(ReplError) -> [Extent] {
  var stream = stream
  var extents: [Extent] = []
  while let extent = try stream.next() { extents.append(extent) }
  return extents
}
