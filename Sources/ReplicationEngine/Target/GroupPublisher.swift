import BlockDiff
import Foundation
import GRDB
import ReplModel
import WireProtocol

/// Makes the members of a prepared group points, all or none.
struct GroupPublisher: Sendable {
  let context: TargetContext
  /// Makes room where a directory needs some; nil at a start, when nothing goes.
  var rooms: RoomMaker?

  /// Publishes a group whose members are all prepared. Files first, then one transaction: until that commits, none of
  /// them is a point, and start-up does the same again.
  func publish(_ group: GroupID, _ prepared: [PreparedRecord]) throws(ReplError) -> CommitReply {
    try requireWhole(group, prepared)
    try requireClean(group, prepared)
    for member in prepared { try publish(member) }
    let now = context.clock.now()
    let reply = CommitReply(sealedAt: now, points: prepared.map(\.seal.point))
    guard let cluster = prepared.first?.cluster else { return reply }
    do throws(ReplError) {
      try context.database.write { database in
        for member in prepared {
          try Self.point(of: member, sealedAt: now, database).insert(database)
          try member.delete(database)
        }
        try CommittedGroup.insert(database, group, cluster: cluster, reply)
      }
    } catch {
      try? withdraw(prepared)
      throw error
    }
    return reply
  }

  private func publish(_ member: PreparedRecord) throws(ReplError) {
    let (store, source) = (try context.store(pool: member.pool), try member.source())
    let move = { () throws(ReplError) in _ = try store.publish(member.seal.point, of: source) }
    if let rooms { try rooms.withRoom(in: member.pool, for: source, move) } else { try move() }
  }

  /// The point that a member becomes, with what is held against it at this moment: nothing that is doubtful is published
  /// as `sealed`. A delta is as good as its base: on one that has become suspect since, the point is suspect too.
  private static func point(of member: PreparedRecord, sealedAt now: Timestamp, _ database: Database) throws
    -> CatalogPoint
  {
    let current = try PreparedRecord.find(database, cluster: member.cluster, volume: member.seal.volume)
    guard let current, current.seal == member.seal else { throw letGo(member) }
    var point = CatalogPoint(
      cluster: member.cluster, seal: member.seal, pool: member.pool, sealedAt: now,
      provenAt: member.seal.proof == .full ? now : nil, state: .sealed, confirmed: false, damaged: [])
    (point.doubtful, point.findings) = (current.doubtful, current.findings)
    if member.seal.proof == .delta, let id = member.seal.base,
      let base = try CatalogPoint.find(database, cluster: member.cluster, volume: member.seal.volume, point: id)
    {
      point.doubt = base.doubt
      if base.suspicion != nil { point.suspicion = "its base \(id) became suspect while it was sealed" }
    }
    if !point.isTrusted { (point.state, point.provenAt) = (.suspect, nil) }
    return point
  }

  /// Reads what has become doubtful in members since they were proven, so that a group is told to be sealed only if it is.
  ///
  /// - Throws: `transient` while there is more to read than a commit waits for.
  private func requireClean(_ group: GroupID, _ prepared: [PreparedRecord]) throws(ReplError) {
    for member in prepared {
      let now = try current(member)
      try requireTrustedBase(of: now)
      guard !now.doubtful.isEmpty else { continue }
      if now.doubtful.count <= DoubtReader.waitLimit {
        _ = try DoubtReader(context: context).isClean(now, pace: { (_) in })
      }
      guard try current(member).doubtful.isEmpty else {
        throw ReplError(
          .transient, subject: "point \(member.seal.point)", cause: "is being read where it has become doubtful",
          remedy: "it is asked for again")
      }
    }
  }

  /// The member's record as it is now, if it has not been let go.
  private func current(_ member: PreparedRecord) throws(ReplError) -> PreparedRecord {
    let found = try context.database.read {
      try PreparedRecord.find($0, cluster: member.cluster, volume: member.seal.volume)
    }
    guard let found, found.seal == member.seal else { throw Self.letGo(member) }
    return found
  }

  /// A delta is as good as its base: on one that has become suspect since, the member is shipped anew.
  private func requireTrustedBase(of member: PreparedRecord) throws(ReplError) {
    guard member.seal.proof == .delta, let id = member.seal.base else { return }
    let source = try member.source()
    let base = try context.database.read { try CatalogPoint.find($0, source, id) }
    guard base?.suspicion != nil else { return }
    try context.database.write { try member.delete($0) }
    try context.store(pool: member.pool).discardStaging(of: source)
    throw Self.letGo(member)
  }

  private static func letGo(_ member: PreparedRecord) -> ReplError {
    ReplError(
      .refused, subject: "point \(member.seal.point)", cause: "shares blocks with a point that was found damaged",
      remedy: "migrate again: it is shipped anew")
  }

  /// Files that were renamed for points that did not come to be: a seal without a record must not be taken for a point.
  private func withdraw(_ prepared: [PreparedRecord]) throws(ReplError) {
    for member in prepared {
      let source = try member.source()
      let (point, rest) = try context.database.read { database in
        (
          try CatalogPoint.find(database, source, member.seal.point),
          try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume)
        )
      }
      guard point == nil, rest?.seal != member.seal else { continue }
      try context.store(pool: member.pool).delete(member.seal.point, of: source)
    }
  }

  private func requireWhole(_ group: GroupID, _ prepared: [PreparedRecord]) throws(ReplError) {
    guard let first = prepared.first else {
      throw ReplError(
        .refused, subject: "group \(group)", cause: "has no prepared member here", remedy: "begin its sessions again")
    }
    guard !Self.isWhole(prepared) else { return }
    let missing = Self.missing(of: first, prepared)
    throw ReplError(
      .refused, subject: "group \(group)",
      cause: "is not whole: \(missing.map(\.volume.description).joined(separator: ", ")) not prepared",
      remedy: "begin the sessions of the missing members again")
  }

  /// Whether every member the manifest names is prepared.
  static func isWhole(_ prepared: [PreparedRecord]) -> Bool {
    guard let first = prepared.first else { return false }
    return missing(of: first, prepared).isEmpty && prepared.allSatisfy { $0.seal.members == first.seal.members }
  }

  /// What the manifest of one member names and is not prepared.
  private static func missing(of first: PreparedRecord, _ prepared: [PreparedRecord]) -> [GroupMember] {
    let present = Set(prepared.map(\.seal.volume))
    return first.seal.members.filter { $0.missingReason == nil && !present.contains($0.volume) }
  }
}

extension PreparedRecord {
  func source() throws(ReplError) -> SourceVolume { try SourceVolume(cluster: cluster, volume: seal.volume) }
}
