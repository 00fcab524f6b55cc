import BlockDiff
import ReplModel
import Threads

/// Room for what peers send: how much of a pool it may take, and what goes when that is not enough. The order is that of
/// design section 7: staging that no session uses, then points above the floor, the oldest first. Only what belongs to
/// the peer that needs the room goes, and what is left of volumes that are gone. No peer takes more of a pool than its
/// limit. Any thread may call.
final class RoomMaker: Sendable {
  /// Bytes that more must be free for a write to be tried again without anything going.
  private static let step: UInt64 = 16 << 20
  /// Least bytes of a pool without live volumes that stay free, for the file system itself.
  private static let slack: UInt64 = 64 << 20
  /// Least bytes of the state directory's file system that stay free: a peer never fills it.
  private static let stateReserve: UInt64 = 64 << 20
  /// What one peer may take of a pool that several clusters use, where the configuration names no limit: the others find
  /// room, however much one sends.
  static let sharedLimit = StorageLimit.percent(90)
  /// Seconds for which it is known who uses a pool: streams ask every 16 MiB.
  private static let usersAge = 5.0
  /// Longest wait for a file system to give deleted blocks back, in twentieths of a second.
  private static let patience = 20

  private let context: TargetContext
  private let turns: VolumeTurns
  private let isOpen: @Sendable (SourceVolume) -> Bool
  private let storage: PeerStorage
  private let users = Locked<[String: PoolUsers]>([:])
  /// Pools in which room is being made, for everybody or within the limit of one peer: two sessions do not delete for the
  /// same want.
  private let busy = Monitor<Set<Want>>([])

  private struct PoolUsers {
    /// Whether volumes that production writes lie there.
    var areLive: Bool
    /// Clusters that may have data there.
    var clusters: Int
    var lookedAt: Double
  }

  private struct Want: Hashable {
    var pool: String
    /// Nil: room of the file system.
    var peer: String?
  }

  init(context: TargetContext, turns: VolumeTurns, isOpen: @escaping @Sendable (SourceVolume) -> Bool) {
    self.context = context
    storage = PeerStorage(context: context)
    self.turns = turns
    self.isOpen = isOpen
  }

  /// Bytes of a pool that peers' data may still take. Production first: where live volumes lie the floor of the
  /// watermarks is kept, elsewhere a little for the file system.
  func free(in pool: String) throws(ReplError) -> UInt64 {
    guard let layout = context.pools.layout(named: pool) else { throw PoolSet.notConfigured(pool) }
    let space = try context.storage.space(at: layout.pool)
    let reserve =
      try users(of: pool).areLive
      ? context.pools.watermarks.floorMark(total: space.total) : min(space.total / 100, Self.slack)
    return space.available - min(space.available, reserve)
  }

  /// Bytes of a pool's file system.
  private func size(of pool: String) throws(ReplError) -> UInt64 {
    guard let layout = context.pools.layout(named: pool) else { throw PoolSet.notConfigured(pool) }
    return try context.storage.space(at: layout.pool).total
  }

  /// Makes `bytes` free in a pool; whether they are.
  func make(_ bytes: UInt64, in pool: String, for source: SourceVolume) throws(ReplError) -> Bool {
    let want = Want(pool: pool)
    enter(want)
    defer { leave(want) }
    // Some file systems give the blocks of what was deleted back only with their next commit.
    if try free(in: pool) < bytes, let layout = context.pools.layout(named: pool) {
      try context.storage.synchronizeFileSystem(at: layout.pool)
    }
    while try free(in: pool) < bytes {
      guard try dropOne(in: pool, for: source, because: "pool \(pool) is full") != nil else { return false }
    }
    return true
  }

  /// Runs a step in a pool, again after room was made for it.
  func withRoom<Value>(
    in pool: String, for source: SourceVolume, _ body: () throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    while true {
      do throws(ReplError) {
        return try body()
      } catch {
        guard error.kind == .noSpace else { throw error }
        guard try giveWay(in: pool, for: source) else { throw explain(error, pool) }
      }
    }
  }

  /// How much is missing nobody knows: one thing goes at a time. False when nothing may go any more.
  private func giveWay(in pool: String, for source: SourceVolume) throws(ReplError) -> Bool {
    let before = try free(in: pool)
    let want = Want(pool: pool)
    enter(want)
    defer { leave(want) }
    // Another session has made room while this one waited.
    if try free(in: pool) > before + Self.step { return true }
    return try dropOne(in: pool, for: source, because: "pool \(pool) is full") != nil
  }

  private func enter(_ want: Want) { _ = busy.wait { wants -> Bool? in wants.insert(want).inserted ? true : nil } }

  private func leave(_ want: Want) { busy.change { _ = $0.remove(want) } }

  /// Deletes one thing, and waits a little for the file system to give its blocks back. The volume it belonged to; nil
  /// when nothing may go any more.
  private func dropOne(
    in pool: String, for source: SourceVolume, because reason: String
  ) throws(ReplError) -> SourceVolume? {
    let before = try free(in: pool)
    var dropped = try dropStaging(in: pool, for: source)
    if dropped == nil { dropped = try dropPoint(in: pool, for: source, because: reason) }
    guard let dropped else { return nil }
    for _ in 0..<Self.patience {
      guard try free(in: pool) <= before else { break }
      context.elapsed.sleep(50_000_000)
    }
    return dropped
  }

  /// Notes bytes that a peer has sent into a pool.
  func noteReceived(_ bytes: UInt64, in pool: String, from peer: String) { storage.add(bytes, from: peer, in: pool) }

  /// Compares what a plan is going to take with what may be taken, before a byte is sent.
  ///
  /// - Throws: `noSpace` with the site, the pool and the whole amount.
  func require(_ bytes: UInt64, in pool: String, for source: SourceVolume, label: String) throws(ReplError) {
    try requireWithinLimit(bytes, in: pool, for: source, label: label)
    if try free(in: pool) >= bytes { return }
    // What would not fit into the empty pool is no reason to delete anything.
    if try bytes <= size(of: pool), try make(bytes, in: pool, for: source) { return }
    let free = try free(in: pool)
    throw ReplError(
      .noSpace, subject: label,
      cause:
        "needs up to \(bytes) bytes in pool \(pool) of site \(context.configuration.clusterID), which has room for \(free): \(bytes - min(bytes, free)) bytes are missing",
      remedy: "make the pool's file system larger, keep fewer points, or move volumes to another pool")
  }

  /// Keeps a peer within what it may take of a pool: its own staging goes first, then its points above the floor.
  private func requireWithinLimit(
    _ bytes: UInt64, in pool: String, for source: SourceVolume, label: String
  ) throws(ReplError) {
    guard let layout = context.pools.layout(named: pool) else { throw PoolSet.notConfigured(pool) }
    let space = try context.storage.space(at: layout.pool)
    guard let limit = try limit(in: pool, of: space.total) else { return }
    let used = space.total - min(space.total, space.available)
    // No peer holds more than all that is used: most pools are never counted.
    if used.addingSaturating(bytes) <= limit { return }
    let want = Want(pool: pool, peer: source.cluster)
    enter(want)
    defer { leave(want) }
    while true {
      let held = try storage.bytes(of: source.cluster, in: pool, comparedWith: limit - min(limit, bytes))
      if held.addingSaturating(bytes) <= limit { return }
      let reason = "cluster \(source.cluster) has taken what it may of pool \(pool)"
      guard bytes <= limit, let dropped = try dropOne(in: pool, for: source, because: reason) else {
        throw beyondLimit(bytes, label, pool, source.cluster, held: held, limit: limit)
      }
      try storage.recount(dropped, in: pool)
    }
  }

  /// Bytes of a pool that one peer may take; nil for all of it.
  private func limit(in pool: String, of total: UInt64) throws(ReplError) -> UInt64? {
    if let limit = context.configuration.peerStorage { return limit.bytes(of: total) }
    return try users(of: pool).clusters > 1 ? Self.sharedLimit.bytes(of: total) : nil
  }

  private func beyondLimit(
    _ bytes: UInt64, _ label: String, _ pool: String, _ peer: String, held: UInt64, limit: UInt64
  ) -> ReplError {
    ReplError(
      .noSpace, subject: label,
      cause:
        "needs up to \(bytes) bytes in pool \(pool) of site \(context.configuration.clusterID), where cluster \(peer) may take \(limit) and has \(held)",
      remedy: "raise limits.peerStorage of site \(context.configuration.clusterID), keep fewer points, or move volumes")
  }

  /// Refuses what makes the state directory grow while its file system is nearly full.
  func requireStateRoom() throws(ReplError) {
    let directory = context.configuration.stateDirectory
    let space = try context.storage.space(at: directory)
    guard space.available < min(space.total / 50, Self.stateReserve) else { return }
    throw ReplError(
      .noSpace, subject: "state directory of site \(context.configuration.clusterID)",
      cause: "only \(space.available) bytes are free on its file system: nothing more is taken from peers",
      remedy: "make room on the file system of \(directory)")
  }

  private func explain(_ error: ReplError, _ pool: String) -> ReplError {
    ReplError(
      .noSpace, subject: "pool \(pool) of site \(context.configuration.clusterID)",
      cause: "\(error.cause); nothing more can go: every volume has only the points that are always kept",
      remedy: "make the pool's file system larger, or move volumes to another pool")
  }

  private func users(of pool: String) throws(ReplError) -> PoolUsers {
    let now = context.clock.ticks()
    if let known = users.withLock({ $0[pool] }), now - known.lookedAt < Self.usersAge { return known }
    let found = try context.database.read { database in
      PoolUsers(
        areLive: try Replica.isLive(pool: pool, database),
        clusters: try Replica.clusters(database, pool: pool), lookedAt: now)
    }
    users.withLock { $0[pool] = found }
    return found
  }

  // MARK: Steps

  /// Staging that no session uses: of volumes that are gone, and of other volumes of the same peer. What is prepared
  /// stays.
  private func dropStaging(in pool: String, for asking: SourceVolume) throws(ReplError) -> SourceVolume? {
    let store = try context.store(pool: pool)
    for other in try store.stagedSources() where other != asking && !isOpen(other) {
      let (volume, prepared) = try context.database.read { database in
        (
          try Replica.find(database, cluster: other.cluster, volume: other.volume),
          try PreparedRecord.find(database, cluster: other.cluster, volume: other.volume)
        )
      }
      let isGone = volume.map { $0.deletedAt != nil } ?? false
      guard prepared == nil, isGone || (volume != nil && other.cluster == asking.cluster) else { continue }
      let isDropped = try? turns.take([other], within: .zero) { () throws(ReplError) in
        guard !isOpen(other), try store.preparedPoint(of: other) == nil else { return false }
        try store.discardStaging(of: other)
        return true
      }
      if isDropped == true { return other }
    }
    return nil
  }

  /// The oldest point above the floor: of the volume itself, else of the peer's other volumes in the pool.
  private func dropPoint(
    in pool: String, for asking: SourceVolume, because reason: String
  ) throws(ReplError) -> SourceVolume? {
    let retention = RetentionRun(context: context)
    if let dropped = retention.dropOldestAboveFloor(of: [asking], in: pool, because: reason) { return dropped }
    let volumes = try context.database.read {
      try Replica.held($0, cluster: asking.cluster, pool: pool)
    }
    var others: [SourceVolume] = []
    for volume in volumes { others.append(try SourceVolume(cluster: volume.cluster, volume: volume.volume)) }
    return retention.dropOldestAboveFloor(of: others, in: pool, because: reason)
  }
}
