import ReplModel
import TestSupport
import Testing

@testable import BlockDiff

@Suite struct SealTests {
  private func isPrepared(_ outcome: SealOutcome) -> Bool { if case .prepared = outcome { true } else { false } }

  @Test(arguments: 0..<60 as Range<UInt64>)
  func pointsOfARandomHistoryEqualTheirSnapshots(seed: UInt64) throws {
    var fixture = try TargetFixture(seed: seed)
    var bytes = fixture.randomVolume(
      blocks: Int.random(in: 0...600, using: &fixture.generator),
      extra: Int.random(in: 0..<4096, using: &fixture.generator))
    var point = try fixture.makePoint(bytes)
    for generation in 2...5 as ClosedRange<UInt64> {
      var next = fixture.mutated(bytes, changes: Int.random(in: 0...12, using: &fixture.generator))
      switch Int.random(in: 0..<4, using: &fixture.generator) {
      case 0: next += fixture.randomVolume(blocks: Int.random(in: 0...300, using: &fixture.generator), extra: 77)
      case 1: next = Array(next.prefix(Int.random(in: 0...next.count, using: &fixture.generator)))
      default: break
      }
      point = try fixture.makePoint(next, base: (point.id, bytes), generation: generation)
      bytes = next
      #expect(fixture.disk.contents(point.paths.image) == bytes, "seed \(seed)")
      let verification = try fixture.store.verify(point, key: fixture.key)
      #expect(verification.matchesSeal, "seed \(seed)")
      #expect(!verification.isTableDamaged && verification.damaged.isEmpty, "seed \(seed)")
      let total = try SegmentTable.open(point.paths.segments, in: fixture.disk).total()
      #expect(total == point.record.seal.sum, "seed \(seed)")
      #expect(try fixture.store.checkStamp(point) == nil)
    }
  }

  @Test func aChunkThatIsMissingIsNoticedAndFoundAndMended() throws {
    var fixture = try TargetFixture(seed: 2)
    let old = fixture.randomVolume(blocks: 1000)
    let new = fixture.mutated(old, changes: 30)
    let base = try fixture.makePoint(old)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count))
    try fixture.ship(new, over: old, into: area)
    // One block that differs is not what was sent.
    let victim = try #require(try collect(area.durableExtents()).first ?? area.firstTouched())
    var wrong = new
    wrong[Int(victim.offset)] ^= 1
    try TargetFixture.write(wrong, Extent(offset: victim.offset, length: 4096), into: area)
    let request = fixture.request(fixture.seal(id, of: new, base: base.id))
    guard case .mismatch(let actual) = try area.seal(request) else { throw TargetFixture.Unexpected("sealed") }
    #expect(actual == TargetFixture.referenceSum(wrong, fixture.key))

    let staged = try area.stagedSegments()
    var different: [UInt64] = []
    var touched = area.touchedSegments()
    while let segment = try touched.next() {
      let truth = FingerprintWalk(key: fixture.key).segmentSum(of: new, segment)
      let found = try staged.sum(ofSegment: segment.offset / segmentSize)
      if truth != found { different.append(segment.offset / segmentSize) }
    }
    #expect(different == [victim.offset / segmentSize])

    try TargetFixture.write(new, Extent(offset: victim.offset, length: 4096), into: area)
    #expect(isPrepared(try area.seal(request)))
    let point = try fixture.store.publish(id, of: fixture.source)
    #expect(fixture.disk.contents(point.paths.image) == new)
  }

  @Test func swappedBlocksAreNoticed() throws {
    var fixture = try TargetFixture()
    let bytes = BytePattern.bytes(tag: 1, count: 4096) + BytePattern.bytes(tag: 2, count: 4096)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(Array(bytes[4096...] + bytes[..<4096]), into: area)
    #expect(!isPrepared(try area.seal(fixture.request(fixture.seal(id, of: bytes, base: nil)))))
  }

  @Test func theNewValueIsReadFromTheImageAndNotFromWhatWasReceived() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 40)
    let base = try fixture.makePoint(bytes)
    for proof in [Proof.delta, .full] {
      let new = fixture.mutated(bytes, changes: 5) + BytePattern.bytes(tag: 3, count: 4096)
      let id = fixture.newID()
      let baseID = proof == .delta ? base.id : nil
      let area = try fixture.open(fixture.identity(id, base: baseID, size: new.count))
      try fixture.ship(new, over: proof == .delta ? bytes : [], into: area)
      try area.recordProgress()
      // The right bytes came, the medium turned one bit.
      fixture.disk.corrupt(area.paths.image, at: UInt64(bytes.count))
      #expect(!isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: baseID)))))
      try area.discard()
    }
  }

  @Test(arguments: [Proof.delta, .full]) func theNewValueIsReadFromTheMediumAndNotFromTheCache(proof: Proof) throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 40)
    let base = proof == .delta ? try fixture.makePoint(bytes).id : nil
    let new = bytes + BytePattern.bytes(tag: 3, count: 4096)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base, size: new.count))
    try fixture.ship(new, over: base == nil ? [] : bytes, into: area)
    try area.recordProgress()
    // Synced without an error, and not done: only the cache has it.
    #expect(fixture.disk.losesWrite(area.paths.image, at: UInt64(bytes.count)))
    #expect(!isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: base)))))
  }

  @Test func theOldValueIsReadFromTheSealedBase() throws {
    var fixture = try TargetFixture()
    let old = BytePattern.bytes(tag: 1, count: 10 * 4096)
    let base = try fixture.makePoint(old)
    let new = BytePattern.bytes(tag: 2, count: 10 * 4096)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count))
    try fixture.ship(new, over: old, into: area)
    fixture.disk.gate.startLog()
    #expect(isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: base.id)))))
    let read = fixture.disk.gate.log.filter { $0.kind == .read && $0.path == base.paths.image }
    #expect(read.reduce(0) { $0 + ($1.extent?.length ?? 0) } == UInt64(old.count))
  }

  @Test(arguments: [Proof.delta, .full]) func theImageIsSyncedBeforeItIsReadBack(proof: Proof) throws {
    var fixture = try TargetFixture()
    let old = fixture.randomVolume(blocks: 10)
    let base = proof == .delta ? try fixture.makePoint(old).id : nil
    let new = fixture.mutated(old, changes: 5)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base, size: new.count))
    try fixture.ship(new, over: base == nil ? [] : old, into: area)
    try area.recordProgress()
    fixture.disk.gate.startLog()
    #expect(isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: base)))))
    let log = fixture.disk.gate.log.filter { $0.path == area.paths.image }
    let synced = try #require(log.firstIndex { $0.kind == .synchronize })
    let read = try #require(log.firstIndex { $0.kind == .read })
    #expect(synced < read)
  }

  @Test func noBlockIsCountedTwiceHoweverOftenItWasSent() throws {
    var fixture = try TargetFixture()
    let old = fixture.randomVolume(blocks: 20)
    let base = try fixture.makePoint(old)
    let new = fixture.mutated(old, changes: 10)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count))
    for _ in 0..<3 {
      try fixture.ship(new, over: old, into: area)
      try area.recordProgress()
    }
    // Chunks that overlap, and some that are not cut at blocks.
    for offset in [100, 4000, 5000, 9000] as [UInt64] {
      try TargetFixture.write(new, Extent(offset: offset, length: 3000), into: area)
    }
    #expect(isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: base.id)))))
  }

  @Test func costFollowsChange() throws {
    var fixture = try TargetFixture()
    let old = fixture.randomVolume(blocks: 5000)
    let base = try fixture.makePoint(old)
    var new = old
    new.replaceSubrange(4096 * 700..<4096 * 701, with: BytePattern.bytes(tag: 77, count: 4096))
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count))
    try fixture.ship(new, over: old, into: area)
    fixture.disk.gate.startLog()
    #expect(isPrepared(try area.seal(fixture.request(fixture.seal(id, of: new, base: base.id)))))
    let read = fixture.disk.gate.log.filter { $0.kind == .read && $0.path.hasSuffix("/image") }
    #expect(read.reduce(0) { $0 + ($1.extent?.length ?? 0) } == 2 * 4096)
  }

  @Test func sealingWhatIsSealedAnswersTheSame() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    let request = fixture.request(fixture.seal(id, of: bytes, base: nil))
    guard case .prepared(let first) = try area.seal(request), case .prepared(let second) = try area.seal(request) else {
      throw TargetFixture.Unexpected("not sealed")
    }
    #expect(first == second)
    var other = request
    other.seal.generation += 1
    #expect(errorKind { _ = try area.seal(other) } == .refused)
    #expect(errorKind { try area.writeZeros(Extent(offset: 0, length: 4096)) } == .bug)
    #expect(errorKind { _ = try fixture.open(area.identity) } == .exists)
  }

  @Test func aSealForSomethingElseIsRefused() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let base = try fixture.makePoint(bytes)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: bytes.count))
    let right = fixture.seal(id, of: bytes, base: base.id)
    var wrong = [right, right, right, right, right]
    wrong[0].point = fixture.newID()
    wrong[1].base = nil
    wrong[2].size += 1
    wrong[3].volume = .random(using: &fixture.generator)
    wrong[4].proof = .full
    for seal in wrong { #expect(errorKind { _ = try area.seal(fixture.request(seal)) } == .refused) }
    var otherKey = fixture.request(right)
    otherKey.key = .random(using: &fixture.generator)
    #expect(errorKind { _ = try area.seal(otherKey) } == .keyNeeded)
    #expect(isPrepared(try area.seal(fixture.request(right))))
  }

  @Test func thePointIsImmutableAndItsStampIsTakenLast() throws {
    var fixture = try TargetFixture()
    fixture.disk.gate.startLog()
    let point = try fixture.makePoint(fixture.randomVolume(blocks: 5))
    let log = fixture.disk.gate.log
    let stamp = try #require(log.lastIndex { $0.kind == .stamp })
    let changes = log[stamp...].filter { $0.kind.isChange && $0.path.hasSuffix("/image") }
    #expect(changes.isEmpty)
    #expect(log[..<stamp].last { $0.kind.isChange }?.kind == .synchronize)
    #expect(errorKind { _ = try fixture.disk.open(point.paths.image, .readWrite) } == .refused)
    #expect(errorKind { try fixture.disk.removeFile(point.paths.image) } == .refused)
    #expect(try fixture.disk.list(point.paths.directory) == ["image", "seal", "segments"])
  }

  @Test func theRecordSaysWhereThePointComesFrom() throws {
    var fixture = try TargetFixture()
    let bytes = fixture.randomVolume(blocks: 5)
    let base = try fixture.makePoint(bytes)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: bytes.count, plan: 99))
    _ = try area.seal(fixture.request(fixture.seal(id, of: bytes, base: base.id), at: 5000))
    let record = try fixture.store.publish(id, of: fixture.source).record
    #expect(record.origin == .init(namespace: "shop", name: "db", clockOffset: -5))
    #expect(record.sealedAt == Timestamp(nanoseconds: 5000))
    // Nothing but the changes was read: the proof is as old as the base's.
    #expect(record.provenAt == base.record.provenAt)
    #expect(record.planDigest == Fingerprint(low: 99, high: 0))
    #expect(record.keyID == fixture.key.id)
  }

  @Test func aComparisonSessionIsProvenByReadingEverything() throws {
    var fixture = try TargetFixture()
    let old = fixture.randomVolume(blocks: 50)
    let base = try fixture.makePoint(old)
    let new = fixture.mutated(old, changes: 5)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: base.id, size: new.count, kind: .comparison))
    try fixture.ship(new, over: old, into: area)
    var seal = fixture.seal(id, of: new, base: nil)
    seal.proof = .full
    #expect(isPrepared(try area.seal(fixture.request(seal))))
    let point = try fixture.store.publish(id, of: fixture.source)
    #expect(fixture.disk.contents(point.paths.image) == new)
    #expect(try fixture.store.verify(point, key: fixture.key).matchesSeal)
  }

  @Test func aFailedSyncIsNeverFollowedByASeal() throws {
    var fixture = try TargetFixture()
    let bytes = BytePattern.bytes(tag: 4, count: 40960)
    let id = fixture.newID()
    let area = try fixture.open(fixture.identity(id, base: nil, size: bytes.count))
    try fixture.ship(bytes, into: area)
    try area.recordProgress()
    fixture.disk.gate.fail(with: ReplError(.io, subject: "image", cause: "input/output error")) {
      $0.kind == .synchronize && $0.path.hasSuffix("/image")
    }
    let request = fixture.request(fixture.seal(id, of: bytes, base: nil))
    #expect(errorKind { _ = try area.seal(request) } == .io)
    #expect(errorKind { _ = try area.seal(request) } == .io)
    let prepared = try fixture.store.preparedPoints()
    #expect(prepared.isEmpty)
    #expect(try fixture.disk.list(fixture.pool.layout.staging).isEmpty)
  }
}

@Suite struct HugeVolumeTests {
  @Test("a run of zeros over a whole volume of 2^60 bytes is proven by what is there, not by its length")
  func zeroRun() throws {
    var fixture = try TargetFixture()
    let size = 1 << 60
    let block = BytePattern.bytes(tag: 5, count: 4096)
    let sum = block.withUnsafeBytes { FingerprintWalk(key: fixture.key).sum(of: $0, at: 0) }
    func seal(_ id: PointID, _ sum: BlockSum, base: PointID?, _ generation: UInt64) -> Seal {
      Seal(
        point: id, volume: fixture.source.volume, lineage: fixture.lineage, branch: fixture.branch, base: base,
        generation: generation, size: UInt64(size), fingerprint: sum.fingerprint, nonZeroBlocks: sum.nonZeroBlocks,
        takenAt: Timestamp(nanoseconds: 42), consistency: .volume, proof: base == nil ? .full : .delta,
        group: GroupID(high: 3, low: 4), members: [GroupMember(volume: fixture.source.volume, size: UInt64(size))])
    }
    let (first, second) = (fixture.newID(), fixture.newID())
    let full = try fixture.open(fixture.identity(first, base: nil, size: size))
    try block.withUnsafeBufferPointer { try full.write(UnsafeRawBufferPointer($0), at: 0) }
    guard case .prepared = try full.seal(fixture.request(seal(first, sum, base: nil, 1))) else {
      throw TargetFixture.Unexpected("not sealed")
    }
    let base = try fixture.store.publish(first, of: fixture.source)
    let area = try fixture.open(fixture.identity(second, base: base.id, size: size))
    try area.writeZeros(Extent(offset: 0, length: UInt64(size)))
    var steps = 0
    let outcome = try area.seal(fixture.request(seal(second, .zero, base: base.id, 2))) { (_) throws(ReplError) in
      steps += 1
      if steps > 1000 { throw ReplError(.cancelled, subject: "the proof", cause: "steps over holes") }
    }
    guard case .prepared = outcome else { throw TargetFixture.Unexpected("not sealed") }
  }
}

extension FingerprintWalk {
  /// The sum of one segment of a volume that is in memory.
  func segmentSum(of bytes: [UInt8], _ extent: Extent) -> BlockSum {
    Array(bytes[Int(extent.offset)..<Int(extent.end)]).withUnsafeBytes { sum(of: $0, at: extent.offset) }
  }
}

extension StagingArea {
  /// The first extent that was written, recorded or not.
  func firstTouched() throws -> Extent? {
    try recordProgress()
    return try collect(durableExtents()).first
  }
}
