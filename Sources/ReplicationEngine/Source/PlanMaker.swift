import BlockDiff
import ReplModel
import WireProtocol

/// Finds what a session has to ship, by the best change source there is.
struct PlanMaker {
  let context: SourceContext
  let link: any PeerLink
  let volume: VolumeRecord
  let snapshot: SnapshotRecord
  let key: FingerprintKey
  let image: any StorageFile
  /// Throws when the source is seen to change, or the run is cancelled.
  let check: () throws(ReplError) -> Void

  /// Against a base both sides hold: by extent maps where both images are at hand and trusted, else by segment sums.
  ///
  /// - Parameter reading: the base; its witnesses learn what of it fails, while planning and later.
  func delta(_ reading: BaseReading) throws(ReplError) -> SessionPlan {
    let base = reading.twin
    guard let seal = base.seal else { throw ReplError(.bug, subject: volume.label, cause: "its base has no seal") }
    guard snapshot.size >= base.size else {
      return try full(reason: "the volume became smaller, from \(base.size) to \(snapshot.size) bytes")
    }
    if snapshot.hasImage, base.hasImage, volume.distrustReason == nil { return try reflink(reading, seal) }
    let reason =
      volume.distrustReason
      ?? (snapshot.hasImage ? "the base's snapshot is gone, its sums are kept" : "the volume cannot be cloned")
    let old = try openSums(reading)
    defer { try? old.close() }
    var editor = SegmentTableEditor(old)
    return try digest(
      changeSource: "digest", reason: reason, kind: .delta, base: seal.point,
      isUnchanged: { (segment, sum) throws(ReplError) in
        guard segment < old.segmentCount else { return sum == .zero }
        return try reading.sums.watch { () throws(ReplError) in try editor.sum(ofSegment: segment) } == sum
      })
  }

  private func openSums(_ reading: BaseReading) throws(ReplError) -> SegmentTable {
    try reading.sums.watch { () throws(ReplError) in
      try SegmentTable.open(reading.twin.segmentsPath, in: context.storage)
    }
  }

  /// Against the sums that the target reads from its point, because there is no common base any more.
  func compare(_ point: PointID) throws(ReplError) -> SessionPlan {
    var sums = PeerSums(
      link: link, volume: volume.id, point: point, segmentCount: segmentCount(ofVolume: snapshot.size))
    return try digest(
      changeSource: "compare", reason: "no base in common; compared with the sums of the target's point \(point)",
      kind: .compare, base: point,
      isUnchanged: { (segment, sum) throws(ReplError) in try sums.sum(of: segment) == sum.fingerprint })
  }

  /// Everything that is allocated.
  func full(reason: String) throws(ReplError) -> SessionPlan {
    let summary = try plan { (plan) throws(ReplError) in
      try FullChangeSource(image, size: snapshot.size).run(into: plan)
    }
    return SessionPlan(
      changeSource: "full", reason: reason, kind: .full, base: nil, baseSum: .zero, mode: .empty,
      sums: try newSums(), path: snapshot.planPath, summary: summary, storage: context.storage, files: [])
  }

  private func reflink(_ reading: BaseReading, _ seal: Seal) throws(ReplError) -> SessionPlan {
    let base = reading.twin
    let baseImage = WitnessedFile(
      try reading.image.watch { () throws(ReplError) in try context.storage.open(base.imagePath, .read) },
      reading.image)
    do throws(ReplError) {
      let summary = try plan { (plan) throws(ReplError) in
        _ = try ReflinkChangeSource(base: baseImage, baseSize: base.size, new: image, newSize: snapshot.size).run(
          into: plan)
      }
      let old = try openSums(reading)
      let sums = try sums(onto: seal) { (path) throws(ReplError) in
        try SegmentTable.clone(old, to: path, volumeSize: snapshot.size, in: context.storage)
      }
      return SessionPlan(
        changeSource: "reflink", reason: "", kind: .delta, base: seal.point,
        baseSum: BlockSum(fingerprint: seal.fingerprint, nonZeroBlocks: seal.nonZeroBlocks),
        mode: .base(baseImage, size: base.size, entries: old, sums: reading.sums), sums: sums, path: snapshot.planPath,
        summary: summary,
        storage: context.storage, files: [baseImage])
    } catch {
      try? baseImage.close()
      throw error
    }
  }

  /// Reads the whole image and plans the segments whose sums differ.
  private func digest(
    changeSource: String, reason: String, kind: SessionKind, base: PointID,
    isUnchanged: (UInt64, BlockSum) throws(ReplError) -> Bool
  ) throws(ReplError) -> SessionPlan {
    let sums = try newSums()
    var recorded = sums.recorded()
    var total = BlockSum.zero
    let source = DigestChangeSource(image, size: snapshot.size, key: key, dropsCache: snapshot.hasImage)
    let summary = try plan { (plan) throws(ReplError) in
      let totals = try source.run(
        into: plan, known: { recorded?.sum(of: $0) }, isUnchanged: isUnchanged,
        newSum: { (segment, sum) throws(ReplError) in try sums.set(segment: segment, sum) }, check: check)
      total = totals.sum
    }
    try sums.flush()
    return SessionPlan(
      changeSource: changeSource, reason: reason, kind: kind, base: base, baseSum: total, mode: .knownSums,
      sums: sums, path: snapshot.planPath, summary: summary, storage: context.storage, files: [])
  }

  /// Sums of which those that nobody sets are zero.
  private func newSums() throws(ReplError) -> SnapshotSums {
    try sums(onto: nil) { (path) throws(ReplError) in
      try SegmentTable.create(path, volumeSize: snapshot.size, keyID: key.id, in: context.storage)
    }
  }

  /// The snapshot's sums, with what an earlier attempt has recorded of them. A volume that is read live may be another
  /// the next time.
  private func sums(
    onto base: Seal?, _ fresh: (String) throws(ReplError) -> SegmentTable
  ) throws(ReplError) -> SnapshotSums {
    try SnapshotSums.open(
      in: snapshot.directory,
      of: SnapshotSums.Identity(point: snapshot.point, size: snapshot.size, keyID: key.id, base: base),
      isKept: snapshot.hasImage, storage: context.storage, seconds: { [clock = context.clock] in clock.ticks() },
      fresh: fresh)
  }

  private func plan(_ fill: (PlanFile) throws(ReplError) -> Void) throws(ReplError) -> PlanSummary {
    let plan = try PlanFile(creating: snapshot.planPath, volumeSize: snapshot.size, storage: context.storage)
    do throws(ReplError) {
      try fill(plan)
      return try plan.finish()
    } catch {
      plan.discard()
      throw error
    }
  }

  /// A plan of whole segments, ascending.
  static func planSegments(
    _ segments: [UInt64], volumeSize: UInt64, to path: String, _ storage: any Storage
  ) throws(ReplError) {
    let plan = try PlanFile(creating: path, volumeSize: volumeSize, storage: storage)
    for segment in segments where segment < segmentCount(ofVolume: volumeSize) {
      let end = min((segment + 1) * segmentSize, volumeSize)
      try plan.append(Extent(from: segment * segmentSize, to: end), .data)
    }
    _ = try plan.finish()
  }
}

/// The sums of a peer's point, fetched a page at a time in ascending order.
struct PeerSums {
  private let link: any PeerLink
  private let volume: VolumeID
  private let point: PointID
  private let segmentCount: UInt64
  private var page: [UInt64: Fingerprint] = [:]
  private var pageEnd: UInt64 = 0

  init(link: any PeerLink, volume: VolumeID, point: PointID, segmentCount: UInt64) {
    self.link = link
    self.volume = volume
    self.point = point
    self.segmentCount = segmentCount
  }

  /// The sum of a segment; segments are asked for in ascending order.
  mutating func sum(of segment: UInt64) throws(ReplError) -> Fingerprint {
    if segment >= pageEnd {
      let count = min(UInt64(SegmentSumsRequest.pageLimit), segmentCount > segment ? segmentCount - segment : 1)
      let request = SegmentSumsRequest(
        volume: volume, point: point, firstSegment: segment, count: UInt32(clamping: count))
      let reply = try link.ask(.segmentSums(request)) {
        if case .segmentSums(let reply) = $0 { reply } else { nil }
      }
      do throws(WireError) { try reply.check(request) } catch {
        throw error.asReplError(subject: "peer \(link.cluster)")
      }
      page = Dictionary(reply.sums.map { ($0.segment, $0.sum) }, uniquingKeysWith: { first, _ in first })
      pageEnd = segment + count
    }
    return page[segment] ?? .zero
  }
}

/// Where two tables of the same volume differ.
enum SegmentDifference {
  /// The segments whose sum at the peer is not ours, ascending.
  static func find(_ sums: [SegmentSum], in table: SegmentTable) throws(ReplError) -> [UInt64] {
    var editor = SegmentTableEditor(table)
    var differing: [UInt64] = []
    // A plan is ascending, in whatever order they came.
    let ascending = sums.sorted { $0.segment < $1.segment }
    for entry in ascending where entry.segment < table.segmentCount && differing.last != entry.segment {
      if try editor.sum(ofSegment: entry.segment).fingerprint != entry.sum { differing.append(entry.segment) }
    }
    return differing
  }
}
