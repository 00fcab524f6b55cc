import BlockDiff
import ReplModel
import WireProtocol

extension TargetService {
  func inventory(_ request: InventoryRequest, _ peer: String) throws(ReplError) -> InventoryReply {
    let points = try context.database.read {
      try CatalogPoint.all($0, cluster: peer, volume: request.volume, limit: InventoryReply.pointLimit)
    }
    // A damaged point may have been pruned meanwhile.
    try context.repairs.review(peer, in: context.database)
    return InventoryReply(
      points: points.map { point in
        PointSummary(
          point: point.point, generation: point.seal.generation, size: point.seal.size,
          fingerprint: point.seal.fingerprint, takenAt: point.seal.takenAt, state: point.state,
          damagedSegments: Array(point.damaged.prefix(PointSummary.damageLimit)))
      })
  }

  func query(_ request: QueryPoint, _ peer: String) throws(ReplError) -> QueryPointReply {
    try context.database.read { database in
      if let point = try CatalogPoint.find(database, cluster: peer, volume: request.volume, point: request.point) {
        return .sealed(point.seal, state: point.state)
      }
      let prepared = try PreparedRecord.find(database, cluster: peer, volume: request.volume)
      return prepared.map { $0.seal.point == request.point ? .prepared($0.seal) : .unknown } ?? .unknown
    }
  }

  /// Sums of segments, read from the point itself: after a base was lost nothing stored is taken for true.
  func answer(_ request: SegmentSumsRequest, _ whole: ControlRequest, _ peer: String) throws(ReplError) -> ControlReply
  {
    try desk.answer(whole, try readLane(request.volume, peer)) { [self] work in
      refusing { () throws(ReplError) in .segmentSums(try segmentSums(request, peer, work)) }
    }
  }

  private func readLane(_ volume: VolumeID, _ peer: String) throws(ReplError) -> WorkDesk.Lane {
    WorkDesk.Lane(peer: peer, pool: try pool(of: volume, peer), kind: .read)
  }

  private func segmentSums(
    _ request: SegmentSumsRequest, _ peer: String, _ work: Work
  ) throws(ReplError) -> SegmentSumsReply {
    guard request.count <= SegmentSumsRequest.pageLimit else {
      throw ReplError(.protocolViolation, subject: "peer \(peer)", cause: "asks for \(request.count) sums at once")
    }
    let held = try held(request.volume, request.point, peer)
    let witness = ReadWitness()
    do throws(ReplError) {
      return try readSums(request, of: held, witness, work)
    } catch {
      guard let failure = witness.failure else { throw error }
      let source = try SourceVolume(cluster: peer, volume: request.volume)
      throw try UnreadableBase(context: context).suspect(request.point, of: source, failure)
    }
  }

  private func readSums(
    _ request: SegmentSumsRequest, of held: HeldPoint, _ witness: ReadWitness, _ work: Work
  ) throws(ReplError) -> SegmentSumsReply {
    let image = WitnessedFile(
      try witness.watch { () throws(ReplError) in try held.store.storage.open(held.point.paths.image, .read) }, witness)
    defer { try? image.close() }
    let size = held.point.record.seal.size
    var reader = FingerprintReader(image, size: size, key: held.key, buffer: AlignedBuffer(count: Int(segmentSize)))
    var sums: [SegmentSum] = []
    let end = min(request.firstSegment.addingSaturating(UInt64(request.count)), segmentCount(ofVolume: size))
    var segment = request.firstSegment
    while segment < end {
      let whole = Extent(offset: segment * segmentSize, length: segmentSize)
      try work.advance(0)
      let sum = try reader.sum(whole) { (bytes) throws(ReplError) in try work.advance(bytes) }.fingerprint
      if sum != .zero { sums.append(SegmentSum(segment: segment, sum: sum)) }
      segment += 1
    }
    return SegmentSumsReply(sums: sums)
  }

  func answer(_ request: VerifyPoint, _ whole: ControlRequest, _ peer: String) throws(ReplError) -> ControlReply {
    let source = try SourceVolume(cluster: peer, volume: request.volume)
    return try desk.answer(whole, try readLane(request.volume, peer)) { [self] work in
      refusing { () throws(ReplError) in
        .verifyPoint(
          try PointVerifier(context: context).verify(source, request.point, quick: request.quick) {
            (bytes) throws(ReplError) in try work.advance(bytes)
          })
      }
    }
  }

  struct HeldPoint {
    var store: PointStore
    var point: RecoveryPoint
    var key: FingerprintKey
  }

  private func held(_ volume: VolumeID, _ point: PointID, _ peer: String) throws(ReplError) -> HeldPoint {
    let source = try SourceVolume(cluster: peer, volume: volume)
    guard
      let record = try context.database.read({
        try CatalogPoint.find($0, cluster: peer, volume: volume, point: point)
      })
    else {
      throw ReplError(.notFound, subject: "recovery point \(point)", cause: "is not held here")
    }
    let store = try context.store(pool: record.pool)
    let key = try store.keys(of: source).key(of: record.seal.lineage)
    return HeldPoint(store: store, point: try store.point(point, of: source), key: key)
  }
}
