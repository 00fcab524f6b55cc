import AgentService
import BlockDiff
import Foundation
import ReplModel

extension AgentCore {
  func volumeReports() throws(ReplError) -> [VolumeReport] {
    var reports: [VolumeReport] = []
    for volume in try database.read({ try VolumeRecord.all($0) }) { reports.append(try report(volume)) }
    for volume in try database.read({ try Replica.held($0) }) { reports.append(try report(volume)) }
    return reports.sorted { ($0.namespace, $0.name, $0.role.rawValue) < ($1.namespace, $1.name, $1.role.rawValue) }
  }

  func report(_ volume: VolumeRecord) throws(ReplError) -> VolumeReport {
    let targets = try targets(of: volume)
    let distrust = volume.distrustReason
    let canClone = volume.pool != nil
    return VolumeReport(
      id: volume.id.description, namespace: volume.namespace, name: volume.name, path: volume.path,
      sizeBytes: currentSize(volume), role: volume.role,
      changeSource: canClone && distrust == nil ? "reflink" : "digest",
      changeSourceReason: distrust ?? (canClone ? "" : digestReason(volume)), pool: volume.pool ?? "",
      sourceCluster: "", lagSeconds: targets.compactMap(\.lagSeconds).max(),
      lagReason: targets.first { !$0.lagReason.isEmpty }?.lagReason ?? "", targets: targets)
  }

  /// One entry for each cluster the volume goes to: those that a pair is with, or, with no such pair left, those that
  /// hold points of it.
  private func targets(of volume: VolumeRecord) throws(ReplError) -> [VolumeTarget] {
    let (sealed, paired) = try database.read { database in
      (try SnapshotRecord.newestSealed(database, volume: volume.id), Set(try PairRecord.all(database).map(\.peer)))
    }
    let ended = source.lastSessions.entries(of: volume.id.description)
    let wanted = Set(sealed.keys).union(ended.keys).intersection(paired)
    let now = clock.now()
    return (wanted.isEmpty ? Set(sealed.keys) : wanted).sorted().map { cluster in
      let last = ended[cluster]
      let lag = sealed[cluster].map { Lag(since: $0, now: now) } ?? .none
      return VolumeTarget(
        cluster: cluster, lagSeconds: lag.seconds, lagReason: lag.reason,
        failedRuns: last?.failures ?? 0, lastFailure: (last?.failures ?? 0) > 0 ? last?.report.reason ?? "" : "")
    }
  }

  private func currentSize(_ volume: VolumeRecord) -> UInt64 {
    // A file system that does not answer is not asked again.
    guard probes.fault(of: .pool(volume.pool ?? "")).isEmpty, let file = try? source.live.open(volume) else {
      return volume.size
    }
    defer { try? file.close() }
    return (try? file.size()) ?? volume.size
  }

  private func digestReason(_ volume: VolumeRecord) -> String {
    volume.isDevice
      ? "a block device cannot be cloned; it is read whole and must hold still"
      : "no pool with reflinks lies on its file system; it is read whole and must hold still"
  }

  func report(_ volume: Replica) throws(ReplError) -> VolumeReport {
    let source = try SourceVolume(cluster: volume.cluster, volume: volume.volume)
    let promotion = try database.read { try PromotionRecord.find($0, source) }
    if let promotion, promotion.mark.isLive { return try promoted(volume, promotion) }
    // However many points there are, one is decoded.
    let (newest, suspects) = try database.read { database in
      (
        try CatalogPoint.newestSealed(database, cluster: volume.cluster, volume: volume.volume),
        try CatalogPoint.count(database, .suspect, cluster: volume.cluster, volume: volume.volume)
      )
    }
    // One that is only intended to be promoted has no live file yet, and may be promoted again.
    // The pool may be out of the configuration; then nothing can be promoted, and there is no path.
    let path = pools.layout(named: volume.pool)?.live(source, namespace: volume.namespace, name: volume.name) ?? ""
    let offset = links.clockOffset(volume.cluster)
    let lag = newest.map { Lag(of: $0.held, now: clock.now(), offset: offset) } ?? .none
    return VolumeReport(
      id: volume.volume.description, namespace: volume.namespace, name: volume.name, path: path,
      sizeBytes: newest?.seal.size ?? 0, role: promotion == nil ? volume.role : .target, changeSource: "",
      changeSourceReason: "", pool: volume.pool,
      sourceCluster: volume.cluster,
      lagSeconds: lag.seconds, lagReason: lag.reason, suspectPoints: suspects)
  }

  private func promoted(
    _ volume: Replica, _ promotion: PromotionRecord
  ) throws(ReplError) -> VolumeReport {
    let point = try database.read {
      try CatalogPoint.find($0, cluster: volume.cluster, volume: volume.volume, point: promotion.mark.point)
    }
    let size = point?.seal.size ?? 0
    return VolumeReport(
      id: volume.volume.description, namespace: volume.namespace, name: volume.name, path: promotion.mark.path,
      sizeBytes: size, role: volume.role, changeSource: "", changeSourceReason: "", pool: volume.pool,
      sourceCluster: volume.cluster, lagSeconds: nil)
  }

  func poolReports() -> [PoolReport] {
    var reports: [PoolReport] = []
    for entry in pools.entries {
      let fault = probes.fault(of: .pool(entry.name))
      let known = probes.space(of: .pool(entry.name))
      // The figures are those of the last look; whether they still hold nobody knows of a pool that does not answer.
      let level = known == nil || !fault.isEmpty ? "unknown" : Self.word(pools.watermarks.level(of: known ?? .none))
      let space = known ?? .none
      let kind: String =
        switch entry.pool.fileSystem {
        case .xfs: "xfs"
        case .btrfs: "btrfs"
        case .other(let magic): magic == 0xEF53 ? "ext4" : "0x" + String(magic, radix: 16)
        }
      reports.append(
        PoolReport(
          name: entry.name, path: entry.layout.pool, fileSystem: kind, target: entry.pool.supportsPoints,
          totalBytes: space.total, availableBytes: space.available, space: level, fault: fault))
    }
    return reports
  }

  private static func word(_ level: SpaceLevel) -> String {
    switch level {
    case .ok: "ok"
    case .low: "low"
    case .floor: "floor"
    }
  }
}

extension FileSystemSpace {
  /// Of a file system that nobody has looked at.
  fileprivate static let none = FileSystemSpace(total: 0, available: 0)
}

extension Timestamp {
  /// RFC 3339 in UTC with whole seconds.
  var rfc3339Seconds: String {
    let date = Date(timeIntervalSince1970: Double(nanoseconds / 1_000_000_000))
    return date.formatted(Date.ISO8601FormatStyle(timeZone: TimeZone(secondsFromGMT: 0) ?? .gmt))
  }

  /// RFC 3339 in UTC with milliseconds.
  var rfc3339: String {
    let date = Date(timeIntervalSince1970: Double(nanoseconds) / 1e9)
    return date.formatted(
      Date.ISO8601FormatStyle(includingFractionalSeconds: true, timeZone: TimeZone(secondsFromGMT: 0) ?? .gmt))
  }
}
