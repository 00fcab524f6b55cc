import AgentService
import BlockDiff
import ReplModel
import WireProtocol

/// Recovery points as people ask for them: by the volume's namespace and name, at the target or by their twins at the
/// source. Calls block.
struct PointCatalog {
  let core: AgentCore

  private var database: AgentDatabase { core.database }

  /// Newest first.
  func reports(_ namespace: String, _ name: String) throws(ReplError) -> [RecoveryPointReport] {
    try requireVolume(namespace, name)
    var reports: [RecoveryPointReport] = []
    for point in try points(namespace, name) { reports.append(try report(point)) }
    for twin in try twins(namespace, name) { reports.append(report(twin)) }
    return reports
  }

  /// A writable clone of a point; the newest sealed one unless named.
  func clone(
    _ namespace: String, _ name: String, _ id: PointID?, to path: String
  ) throws(ReplError) -> RecoveryPointReport {
    guard path.hasPrefix("/") else {
      throw ReplError(.invalid, subject: path, cause: "is not an absolute path", remedy: "give the path from / on")
    }
    try core.source.privateDirectories.requireOutside(
      path, remedy: "name a path outside of it, on the same file system for a reflink")
    guard try !core.pools.storage.exists(path) else {
      throw ReplError(.exists, subject: path, cause: "exists already", remedy: "name a file that does not")
    }
    try requireVolume(namespace, name)
    let held = try points(namespace, name)
    let named = held.first { $0.point == id }
    if let point = id == nil ? try defaultPoint(held, namespace, name) : named {
      return try cloned(try report(point), to: path)
    }
    let twins = try twins(namespace, name)
    guard let twin = twins.first(where: { id == nil ? $0.consistency != .fuzzy : $0.point == id }) else {
      if !twins.isEmpty, id == nil { throw noDefault(namespace, name) }
      throw notFound(id, namespace, name)
    }
    return try cloned(report(twin), to: path)
  }

  private func cloned(_ report: RecoveryPointReport, to path: String) throws(ReplError) -> RecoveryPointReport {
    try copy(report.path, to: path)
    var report = report
    report.clonePath = path
    return report
  }

  func verify(
    _ namespace: String, _ name: String, _ id: PointID?, quick: Bool
  ) throws(ReplError) -> VerifyReport {
    try requireVolume(namespace, name)
    let held = try points(namespace, name)
    let named = held.first { $0.point == id }
    if let point = id == nil ? try newest(held, namespace, name) : named { return try verifyHeld(point, quick) }
    guard let twin = try twins(namespace, name).first(where: { id == nil || $0.point == id }), let seal = twin.seal
    else {
      throw notFound(id, namespace, name)
    }
    return try verifyTwin(twin, seal, quick)
  }

  // MARK: Target

  /// Newest first. Of several volumes of the name one that its source has still comes before one that is gone, and the one
  /// that came last before the others: a volume made anew under an old name must not be mistaken for its forerunner.
  func points(_ namespace: String, _ name: String) throws(ReplError) -> [CatalogPoint] {
    try database.read { database in
      let volumes = try Replica.held(database, namespace: namespace, name: name)
      let newestFirst = volumes.reversed()
      return try (newestFirst.filter { $0.deletedAt == nil } + newestFirst.filter { $0.deletedAt != nil })
        .flatMap { try CatalogPoint.all(database, cluster: $0.cluster, volume: $0.volume) }
    }
  }

  /// What is verified when no point is named: the newest even if it is suspect, since what is to be known is whether it
  /// is good. Nil when none is held here.
  func newest(_ points: [CatalogPoint], _ namespace: String, _ name: String) throws(ReplError) -> CatalogPoint? {
    let current = points.filter { [.sealed, .suspect, .promoted].contains($0.state) }
    try requireOneCluster(current, namespace, name)
    return current.first ?? points.first
  }

  /// What is used when no point is named: never a suspect, orphaned or fuzzy one. Nil when none is held here.
  func defaultPoint(
    _ points: [CatalogPoint], _ namespace: String, _ name: String
  ) throws(ReplError) -> CatalogPoint? {
    guard !points.isEmpty else { return nil }
    try requireOneCluster(points, namespace, name)
    let usable = points.first {
      [.sealed, .promoted].contains($0.state) && $0.isTrusted && $0.seal.consistency != .fuzzy
    }
    guard let usable else { throw noDefault(namespace, name) }
    return usable
  }

  private func noDefault(_ namespace: String, _ name: String) -> ReplError {
    ReplError(
      .refused, subject: "volume \(namespace)/\(name)",
      cause: "has no recovery point that is sealed and consistent: suspect and fuzzy ones are not chosen by default",
      remedy: "look at replctl recovery-points \(name) -n \(namespace) and name one with --point")
  }

  /// A volume is known by its cluster, too: two sources may have volumes of the same name.
  private func requireOneCluster(_ points: [CatalogPoint], _ namespace: String, _ name: String) throws(ReplError) {
    let clusters = Set(points.map(\.cluster)).sorted()
    guard clusters.count > 1 else { return }
    throw ReplError(
      .refused, subject: "volume \(namespace)/\(name)",
      cause: "there are volumes of this name of the clusters \(clusters.joined(separator: " and "))",
      remedy: "name a point with --point: replctl recovery-points \(name) -n \(namespace) -o json shows sourceCluster")
  }

  private func report(_ point: CatalogPoint) throws(ReplError) -> RecoveryPointReport {
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    let store = try core.target.context.store(pool: point.pool)
    return RecoveryPointReport(
      id: point.point.description, volumeID: point.volume.description, sourceCluster: point.cluster,
      generation: point.seal.generation, takenAt: point.seal.takenAt.rfc3339, sealedAt: point.sealedAt.rfc3339,
      sizeBytes: point.seal.size, fingerprint: point.seal.fingerprint.description,
      group: point.seal.group.description, consistency: point.seal.consistency.name, proof: point.seal.proof.name,
      provenAt: point.provenAt?.rfc3339 ?? "", state: try currentState(point, store, source),
      path: store.layout.point(source, point.point).image)
  }

  /// A point that somebody touched shows as suspect at once, and stays so until a full read proves it.
  private func currentState(
    _ point: CatalogPoint, _ store: PointStore, _ source: SourceVolume
  ) throws(ReplError) -> String {
    guard point.state == .sealed else { return point.state.name }
    let difference: String?
    do throws(ReplError) {
      difference = try store.checkStamp(try store.point(point.point, of: source))
    } catch {
      guard [.notFound, .damaged].contains(error.kind) else { throw error }
      difference = error.cause
    }
    guard let difference else { return point.state.name }
    try DamageBook(context: core.target.context).suspect(point.point, of: source, because: difference)
    return PointState.suspect.name
  }

  private func verifyHeld(_ point: CatalogPoint, _ quick: Bool) throws(ReplError) -> VerifyReport {
    let source = try SourceVolume(cluster: point.cluster, volume: point.volume)
    let reply = try PointVerifier(context: core.target.context).verify(source, point.point, quick: quick)
    if reply.state == .suspect { core.repairs.want(from: point.cluster) }
    let side = targetSide(reply, cluster: core.configuration.clusterID)
    let other = VerifySide(
      side: "source", cluster: point.cluster, read: false, bytesRead: 0, fingerprint: "", equal: false,
      checked: false, damagedSegments: [], reason: "verify at the source site reads the twin too")
    return VerifyReport(
      point: point.point.description, sealFingerprint: reply.seal.fingerprint.description, equal: side.equal,
      sides: [side, other])
  }

  private func targetSide(_ reply: VerifyReply, cluster: String) -> VerifySide {
    let fingerprint = reply.computed ?? reply.seal.fingerprint
    return VerifySide(
      side: "target", cluster: cluster, read: reply.computed != nil, bytesRead: reply.bytesRead,
      fingerprint: fingerprint.description,
      equal: fingerprint == reply.seal.fingerprint && reply.damagedSegments.isEmpty && reply.state != .suspect,
      damagedSegments: reply.damagedSegments, reason: reply.computed == nil ? "nothing was read" : "")
  }

  // MARK: Source

  private func twins(_ namespace: String, _ name: String) throws(ReplError) -> [SnapshotRecord] {
    try database.read { database in
      guard let volume = try VolumeRecord.find(database, namespace: namespace, name: name) else { return [] }
      return try SnapshotRecord.all(database, volume: volume.id).filter { $0.state == .sealed && $0.seal != nil }
    }
  }

  private func report(_ twin: SnapshotRecord) -> RecoveryPointReport {
    RecoveryPointReport(
      id: twin.point.description, volumeID: twin.volume.description, sourceCluster: "",
      generation: twin.generation, takenAt: twin.takenAt.rfc3339, sealedAt: "",
      sizeBytes: twin.size, fingerprint: twin.seal?.fingerprint.description ?? "",
      group: twin.seal?.group.description ?? "", consistency: twin.consistency.name,
      proof: twin.seal?.proof.name ?? "", provenAt: "", state: PointState.sealed.name,
      path: twin.hasImage ? twin.imagePath : "")
  }

  private func verifyTwin(_ twin: SnapshotRecord, _ seal: Seal, _ quick: Bool) throws(ReplError) -> VerifyReport {
    let own = try sourceSide(twin, seal, quick)
    let link = try core.links.link(to: twin.peer)
    let request = VerifyPoint(volume: twin.volume, point: twin.point, quick: quick)
    var other: VerifySide
    do throws(ReplError) {
      let reply = try link.ask(.verifyPoint(request)) {
        if case .verifyPoint(let reply) = $0 { reply } else { nil }
      }
      other = targetSide(reply, cluster: twin.peer)
      other.equal = other.equal && reply.seal == seal
    } catch {
      guard error.kind == .transient else { throw error }
      other = VerifySide(
        side: "target", cluster: twin.peer, read: false, bytesRead: 0, fingerprint: "", equal: false,
        checked: false, damagedSegments: [], reason: "\(error)", reachable: false)
    }
    let checked = [own, other].filter(\.checked)
    return VerifyReport(
      point: twin.point.description, sealFingerprint: seal.fingerprint.description,
      equal: !checked.isEmpty && checked.allSatisfy(\.equal), sides: [own, other])
  }

  private func sourceSide(_ twin: SnapshotRecord, _ seal: Seal, _ quick: Bool) throws(ReplError) -> VerifySide {
    var side = VerifySide(
      side: "source", cluster: core.configuration.clusterID, read: false, bytesRead: 0,
      fingerprint: seal.fingerprint.description, equal: true, damagedSegments: [], reason: "nothing was read")
    guard !quick else { return side }
    switch try TwinVerifier(context: core.source).verify(twin, seal) {
    case .notRead(let reason, let isLost):
      side.reason = reason
      (side.equal, side.checked) = (!isLost, !isLost)
    case .read(let fingerprint, let bytes, let damaged):
      side.read = true
      side.reason = ""
      side.bytesRead = bytes
      side.fingerprint = fingerprint.description
      side.equal = fingerprint == seal.fingerprint
      side.damagedSegments = damaged
    }
    return side
  }

  // MARK: -

  /// A reflink on the point's own file system, else a sparse copy. Durable on return; nothing is left of a failure.
  private func copy(_ image: String, to path: String) throws(ReplError) {
    let storage = core.pools.storage
    let file = try storage.open(image, .read)
    defer { try? file.close() }
    let copy: any StorageFile
    do throws(ReplError) {
      copy = try storage.clone(file, to: path)
    } catch {
      guard error.kind == .refused || error.kind == .invalid else { throw error }
      return try SparseCopy(storage: storage).copy(file, to: path)
    }
    do throws(ReplError) {
      try copy.synchronize()
      try copy.close()
      try storage.synchronizeDirectory(parentDirectory(of: path))
    } catch {
      try? storage.removeFile(path)
      throw error
    }
  }

  private func requireVolume(_ namespace: String, _ name: String) throws(ReplError) {
    let isKnown = try database.read { database in
      try VolumeRecord.find(database, namespace: namespace, name: name) != nil
        || !Replica.held(database, namespace: namespace, name: name).isEmpty
    }
    guard !isKnown else { return }
    throw ReplError(
      .notFound, subject: "volume \(namespace)/\(name)", cause: "is neither a volume of this agent nor held for a peer",
      remedy: "replctl volume list shows what there is")
  }

  private func notFound(_ id: PointID?, _ namespace: String, _ name: String) -> ReplError {
    ReplError(
      .notFound, subject: "volume \(namespace)/\(name)",
      cause: id.map { "has no recovery point \($0)" } ?? "has no recovery point yet")
  }
}

/// Copies a sparse image byte by byte, holes left out.
struct SparseCopy {
  let storage: any Storage

  func copy(_ image: any StorageFile, to path: String) throws(ReplError) {
    let copy = try storage.open(path, .createNew)
    do throws(ReplError) {
      let size = try image.size()
      try copy.truncate(to: size)
      let buffer = AlignedBuffer(count: Int(segmentSize))
      var position: UInt64 = 0
      while position < size, let data = try image.nextData(from: position) {
        var offset = max(data.offset, position)
        let end = min(data.end, size)
        while offset < end {
          let space = buffer.prefix(Int(min(end - offset, segmentSize)))
          let count = try image.read(into: space, at: offset)
          guard count > 0 else { throw ReplError(.io, subject: image.path, cause: "ends at byte \(offset)") }
          try copy.write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(space)[..<count]), at: offset)
          offset += UInt64(count)
        }
        position = end
      }
      try copy.synchronize()
      try copy.close()
      try storage.synchronizeDirectory(parentDirectory(of: path))
    } catch {
      try? copy.close()
      try? storage.removeFile(path)
      throw error
    }
  }
}
