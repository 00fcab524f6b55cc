import BlockDiff
public import ReplModel

/// Rebuilds the database of the target side from the seals in the pools. Groups come back whole or not at all.
///
/// Volumes this agent owned, pairs and keys of lineages it is the source of are not in the pools: volumes are imported
/// again, as new ones, and paired again.
public struct DatabaseRecovery: Sendable {
  /// What was found, a line each, for people.
  public struct Report: Sendable {
    public var lines: [String] = []
  }

  private let configuration: EngineConfiguration

  public init(_ configuration: EngineConfiguration) { self.configuration = configuration }

  /// Runs while no agent does.
  ///
  /// - Throws: `.refused` while an agent uses the state directory.
  public func run() throws(ReplError) -> Report {
    let storage = LinuxStorage()
    let lock = try StateDirectory.claim(configuration.stateDirectory, storage: storage)
    defer { lock.release() }
    let database = try AgentDatabase.open(
      configuration.stateDirectory + "/agent.db", cluster: configuration.clusterID)
    let pools = try PoolSet.open(configuration, database: database, storage: storage)
    defer { for entry in pools.entries { entry.pool.close() } }
    var found: [Found] = []
    var report = Report()
    var skipped: [SkippedEntry] = []
    let held = try pools.entries.filter(\.pool.supportsPoints).map { (entry) throws(ReplError) in
      (entry, try entry.pool.points.sources(&skipped))
    }
    report.lines += skipped.map { "left out: \($0)" }
    for (entry, sources) in held { found += try read(sources, in: entry, &report) }
    try adopt(found, database, &report)
    for (entry, sources) in held {
      try adoptPromotions(sources, in: entry, database, &report)
      report.lines += entry.pool.strays().map { "left alone: \($0)" }
    }
    return report
  }

  /// What shows that a point's image was touched. One that cannot be looked at is not to be trusted.
  private static func difference(of point: RecoveryPoint, in store: PointStore) -> String? {
    do throws(ReplError) { return try store.checkStamp(point) } catch { return "it cannot be looked at: \(error)" }
  }

  private struct Found: Sendable {
    var pool: String
    var record: BlockDiff.PointRecord
    /// What shows that its image was touched.
    var difference: String?
    /// What was found wrong with images of its volume.
    var findings: [Finding]
  }

  private func read(
    _ sources: [SourceVolume], in entry: PoolSet.Entry, _ report: inout Report
  ) throws(ReplError) -> [Found] {
    let store = entry.pool.points
    report.lines += try store.finishRepairs().map { "left alone: \($0)" }
    var found: [Found] = []
    for source in sources {
      let (sealed, damaged) = try store.points(of: source)
      let findings = try store.findings(of: source)
      for point in sealed {
        found.append(
          Found(
            pool: entry.name, record: point.record, difference: Self.difference(of: point, in: store),
            findings: findings))
      }
      if !findings.isEmpty {
        report.lines.append("doubtful: \(source): \(findings.count) findings; the next start reads what they are about")
      }
      for point in damaged { report.lines.append("left out: \(point.paths.directory): \(point.error.cause)") }
    }
    return found
  }

  private func adopt(_ found: [Found], _ database: AgentDatabase, _ report: inout Report) throws(ReplError) {
    let groups = Dictionary(grouping: found) { $0.record.source.cluster + "/" + $0.record.seal.group.description }
    for (name, members) in groups.sorted(by: { $0.key < $1.key }) {
      guard let manifest = members.first?.record.seal.members else { continue }
      let present = Set(members.map(\.record.seal.volume))
      let missing = manifest.filter { $0.missingReason == nil && !present.contains($0.volume) }
      // A point whose companions were pruned by retention cannot be told from half a commit: it is named, not adopted.
      guard missing.isEmpty else {
        report.lines.append("left out: group \(name): \(missing.count) of its volumes have no point here")
        continue
      }
      for member in members { try adopt(member, database) }
      report.lines.append("adopted: group \(name): \(members.count) points")
    }
    if found.isEmpty { report.lines.append("no recovery points in the pools") }
  }

  /// A volume that was promoted stays so: nobody may write points of it. One whose live file was not there yet gets it at
  /// the next start.
  private func adoptPromotions(
    _ sources: [SourceVolume], in entry: PoolSet.Entry, _ database: AgentDatabase, _ report: inout Report
  ) throws(ReplError) {
    let store = entry.pool.points
    for source in sources {
      let found: PromotionMark?
      do throws(ReplError) { found = try store.promotionMark(of: source) } catch {
        report.lines.append("left out: the promotion of \(source): \(error)")
        continue
      }
      guard let mark = found else { continue }
      let isKnown = try database.write { database in
        guard try Replica.find(database, cluster: source.cluster, volume: source.volume) != nil else {
          return false
        }
        try Promotion.adopt(database, PromotionRecord(source: source, mark: mark))
        if mark.isLive { try CatalogPoint.setPromoted(database, source, mark.point) }
        return true
      }
      report.lines.append(
        isKnown ? "promoted: \(source) at \(mark.path)" : "left out: the promotion of \(source): it has no points")
    }
  }

  private func adopt(_ found: Found, _ database: AgentDatabase) throws(ReplError) {
    let record = found.record
    let volume = Replica(
      cluster: record.source.cluster, volume: record.source.volume, namespace: record.origin.namespace,
      name: record.origin.name, authority: .following(lineage: record.seal.lineage, branch: record.seal.branch),
      pool: found.pool)
    try database.write { database in
      let source = record.source
      guard
        try CatalogPoint.find(database, cluster: source.cluster, volume: source.volume, point: record.seal.point) == nil
      else { return }
      let known = try Replica.find(database, cluster: source.cluster, volume: source.volume)
      try volume.insert(database)
      // The newest of its points says what it was called and on which branch it was.
      if let known, known.role == .target, known.branch.epoch <= volume.branch.epoch {
        try volume.setName(database)
        try Replica.setAuthority(database, source, volume.authority)
      }
      var point = CatalogPoint(
        cluster: source.cluster, seal: record.seal, pool: found.pool, sealedAt: record.sealedAt,
        provenAt: record.provenAt, state: .sealed, confirmed: false, damaged: [])
      point.suspicion = found.difference
      for finding in found.findings { point.hold(finding) }
      if !point.isTrusted { point.state = .suspect }
      try point.insert(database)
      for finding in found.findings { try FindingRecord.insert(database, finding.id, source, pool: found.pool) }
    }
  }
}
