import BlockDiff
import ReplModel
import WireProtocol

/// The authority records of volumes held as a target: who may write points of which volume.
struct TargetVolumes: Sendable {
  let context: TargetContext

  /// Finds the record of the volume a session is for, or makes it at the first session; refuses what the volume's
  /// authority does not allow.
  func admit(_ begin: BeginSession, from peer: String) throws(ReplError) -> Replica {
    let found = try context.database.read {
      try Replica.find($0, cluster: peer, volume: begin.volume)
    }
    guard var record = found else { return try create(begin, peer) }
    try checkAuthority(begin, record)
    try context.pools.requirePoints(in: record.pool)
    if record.deletedAt != nil {
      record.deletedAt = nil
      try context.database.write { try Replica.adopt($0, cluster: peer, volume: begin.volume) }
    }
    guard record.namespace != begin.namespace || record.name != begin.name else { return record }
    record.namespace = begin.namespace
    record.name = begin.name
    try context.database.write { [record] in try record.setName($0) }
    return record
  }

  /// Refuses a session that was admitted while the volume was being promoted.
  func requireTarget(_ begin: BeginSession, from peer: String) throws(ReplError) {
    let found = try context.database.read {
      try Replica.find($0, cluster: peer, volume: begin.volume)
    }
    if let found { try checkAuthority(begin, found) }
  }

  private func create(_ begin: BeginSession, _ peer: String) throws(ReplError) -> Replica {
    let held = try context.database.read { try Replica.count($0, cluster: peer) }
    guard held < context.budgets.volumes else {
      throw ReplError(
        .refused, subject: "peer \(peer)", cause: "has \(held) volumes here, the most there may be",
        remedy: "delete volumes at the source: their points age out here")
    }
    let pool = try context.pools.poolForPoints()
    try pool.pool.requirePresent()
    let now = context.clock.now()
    let record = Replica(
      cluster: peer, volume: begin.volume, namespace: begin.namespace, name: begin.name,
      authority: .following(lineage: begin.lineage, branch: begin.branch), pool: pool.name)
    try context.database.write { database in
      // An older volume of the same name keeps its points under its own id.
      for old in try Replica.held(database, namespace: begin.namespace, name: begin.name)
      where old.cluster == peer {
        try Replica.orphan(database, cluster: peer, volume: old.volume, at: now)
      }
      try record.insert(database)
    }
    return record
  }

  private func checkAuthority(_ begin: BeginSession, _ record: Replica) throws(ReplError) {
    switch record.authority.admission(lineage: begin.lineage, branch: begin.branch) {
    case .admitted: return
    case .inUse(let role):
      let source = try SourceVolume(cluster: record.cluster, volume: record.volume)
      let promotion = try context.database.read { try PromotionRecord.find($0, source) }
      throw ReplError(
        .refused, subject: record.label,
        cause: promotion?.inUse ?? "volume in use: it is \(role.rawValue) at this site",
        remedy: "replicate it under another name, or stop migrating it")
    case .superseded:
      throw ReplError(
        .refused, subject: record.label, cause: "was promoted here since: the session is of an older branch",
        remedy: "demote the source; replicate the other way")
    case .diverged(.lineage):
      throw ReplError(.diverged, subject: record.label, cause: "comes with another lineage than the points held here")
    case .diverged(.branch):
      throw ReplError(
        .diverged, subject: record.label, cause: "has a history here that the session's branch is no part of",
        remedy: "decide which side is right; both keep everything until then")
    }
  }
}
