import BlockDiff
import ReplModel
import Threads
import WireProtocol

/// Commit and confirmation of groups.
extension TargetService {
  func answer(_ request: CommitGroup, _ whole: ControlRequest, _ peer: String) throws(ReplError) -> ControlReply {
    try rooms.requireStateRoom()
    let first = try context.database.read { try PreparedRecord.group($0, request.group, cluster: peer).first }
    return try work(whole, peer, first?.pool ?? "") { [self] _ throws(ReplError) in
      .commitGroup(try commit(request.group, peer))
    }
  }

  /// Publishes a group: every member's files first, then one transaction that makes them points. Has the turns of all
  /// members: no session of theirs begins meanwhile.
  private func commit(_ group: GroupID, _ peer: String) throws(ReplError) -> CommitReply {
    let members = try context.database.read { try PreparedRecord.group($0, group, cluster: peer) }
    var volumes: Set<SourceVolume> = []
    for member in members { volumes.insert(try member.source()) }
    let publisher = GroupPublisher(context: context, rooms: rooms)
    let (reply, published) = try turns.take(volumes, within: context.budgets.turnTime) {
      () throws(ReplError) -> (CommitReply, [PreparedRecord]) in
      if let done = try context.database.read({ try CommittedGroup.find($0, group, cluster: peer) }) {
        return (done, [])
      }
      let prepared = try context.database.read { try PreparedRecord.group($0, group, cluster: peer) }
      return (try publisher.publish(group, prepared), prepared)
    }
    for member in published {
      commits.add(try member.source())
      tell(member, try member.source())
    }
    makeReady(published)
    return reply
  }

  /// One line for each point that has come to be.
  private func tell(_ member: PreparedRecord, _ source: SourceVolume) {
    let session = sessions[source].flatMap { $0.begin.snapshot == member.seal.point ? $0 : nil }
    let volume = try? context.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }
    log.sealed(
      member.seal, namespace: volume?.namespace ?? "", name: volume?.name ?? source.volume.description,
      cluster: source.cluster, session: session, seconds: context.clock.ticks() - (session?.beganAt ?? 0))
  }

  /// The next staging areas are cloned now, off the critical path.
  private func makeReady(_ members: [PreparedRecord]) {
    guard !members.isEmpty else { return }
    context.background { [self] in
      for member in members {
        guard let source = try? member.source() else { continue }
        // Without waiting: a session that has begun meanwhile clones for itself.
        try? turns.take([source], within: .zero) { () throws(ReplError) in
          let store = try context.store(pool: member.pool)
          let record = try context.database.read { try CatalogPoint.find($0, source, member.seal.point) }
          guard record?.state == .sealed else { return }
          try store.prepareReadyClone(of: try store.point(member.seal.point, of: source))
        }
      }
    }
  }

  func confirm(_ group: GroupID, _ peer: String) throws(ReplError) {
    guard let done = try context.database.read({ try CommittedGroup.find($0, group, cluster: peer) }) else { return }
    var sources: [SourceVolume] = []
    for point in done.points {
      let found = try context.database.write { database in
        try CatalogPoint.confirm(database, cluster: peer, point: point)
      }
      if let found { sources.append(try SourceVolume(cluster: peer, volume: found)) }
    }
    for source in sources {
      commits.reset(source)
      if let session = sessions[source], session.begin.group == group, !session.isUnderWay {
        sessions.remove(session)
      }
    }
    let upkeep = sources
    context.background { [context] in
      for source in upkeep { RetentionRun(context: context).prune(source) }
    }
  }
}

/// Commits of each volume since its source has confirmed one, in the life of this process. Any thread may call.
final class CommitCounts: Sendable {
  private let counts = Locked<[SourceVolume: Int]>([:])

  func add(_ source: SourceVolume) { counts.withLock { $0[source, default: 0] += 1 } }
  func reset(_ source: SourceVolume) { counts.withLock { $0[source] = nil } }
  func count(of source: SourceVolume) -> Int { counts.withLock { $0[source] ?? 0 } }
}
