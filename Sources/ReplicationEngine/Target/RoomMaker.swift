import BlockDiff
import ReplModel
import Synchronization
import Threads

/// Room for what peers send: how much of a pool it may take, and what goes when that is not enough. The order is that of
/// design section 7: staging that no session uses, then points above the floor, the oldest first. Only what belongs to
/// the peer that needs the room goes, and what is left of volumes that are gone. Any thread may call.
final class RoomMaker: Sendable {
  /// Bytes that more must be free for a write to be tried again without anything going.
  private static let step: UInt64 = 16 << 20
  /// Least bytes of a pool without live volumes that stay free, for the file system itself.
  private static let slack: UInt64 = 64 << 20
  /// Least bytes of the state directory's file system that stay free: a peer never fills it.
  private static let stateReserve: UInt64 = 64 << 20
  /// Seconds for which it is known whether a pool holds live volumes: streams ask every 16 MiB.
  private static let liveAge = 5.0
  /// Longest wait for a file system to give deleted blocks back, in twentieths of a second.
  private static let patience = 20

  private let context: TargetContext
  private let turns: VolumeTurns
  private let isOpen: @Sendable (SourceVolume) -> Bool
  /// When it was last looked which pools hold live volumes, and whether they do.
  private let live = Mutex<[String: (isLive: Bool, at: Double)]>([:])
  /// Pools in which room is being made: two sessions do not delete for the same want.
  private let busy = Monitor<Set<String>>([])

  init(context: TargetContext, turns: VolumeTurns, isOpen: @escaping @Sendable (SourceVolume) -> Bool) {
    self.context = context
    self.turns = turns
    self.isOpen = isOpen
  }

  /// Bytes of a pool that peers' data may still take. Production first: where live volumes lie the floor of the
  /// watermarks is kept, elsewhere a little for the file system.
  func free(in pool: String) throws(ReplError) -> UInt64 {
    guard let layout = context.pools.layout(named: pool) else { throw PoolSet.notConfigured(pool) }
    let space = try context.storage.space(at: layout.pool)
    let reserve =
      try holdsLiveVolumes(pool)
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
    enter(pool)
    defer { leave(pool) }
    // Some file systems give the blocks of what was deleted back only with their next commit.
    if try free(in: pool) < bytes, let layout = context.pools.layout(named: pool) {
      try context.storage.synchronizeFileSystem(at: layout.pool)
    }
    while try free(in: pool) < bytes {
      guard try dropOne(in: pool, for: source) else { return false }
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
    enter(pool)
    defer { leave(pool) }
    // Another session has made room while this one waited.
    if try free(in: pool) > before + Self.step { return true }
    return try dropOne(in: pool, for: source)
  }

  private func enter(_ pool: String) { _ = busy.wait { pools -> Bool? in pools.insert(pool).inserted ? true : nil } }

  private func leave(_ pool: String) { busy.change { _ = $0.remove(pool) } }

  /// Deletes one thing, and waits a little for the file system to give its blocks back.
  private func dropOne(in pool: String, for source: SourceVolume) throws(ReplError) -> Bool {
    let before = try free(in: pool)
    if try !dropStaging(in: pool, for: source) {
      guard try dropPoint(in: pool, for: source) else { return false }
    }
    for _ in 0..<Self.patience {
      guard try free(in: pool) <= before else { break }
      context.elapsed.sleep(50_000_000)
    }
    return true
  }

  /// Compares what a plan is going to take with what may be taken, before a byte is sent.
  ///
  /// - Throws: `noSpace` with the site, the pool and the whole amount.
  func require(_ bytes: UInt64, in pool: String, for source: SourceVolume, label: String) throws(ReplError) {
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

  private func holdsLiveVolumes(_ pool: String) throws(ReplError) -> Bool {
    let now = context.clock.ticks()
    if let known = live.withLock({ $0[pool] }), now - known.at < Self.liveAge { return known.isLive }
    let isLive = try context.database.read { try TargetVolumeRecord.isLive(pool: pool, $0) }
    live.withLock { $0[pool] = (isLive, now) }
    return isLive
  }

  // MARK: Steps

  /// Staging that no session uses: of volumes that are gone, and of other volumes of the same peer. What is prepared
  /// stays.
  private func dropStaging(in pool: String, for asking: SourceVolume) throws(ReplError) -> Bool {
    let store = try context.store(pool: pool)
    for other in try store.stagedSources() where other != asking && !isOpen(other) {
      let (volume, prepared) = try context.database.read { database in
        (
          try TargetVolumeRecord.find(database, cluster: other.cluster, volume: other.volume),
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
      if isDropped == true { return true }
    }
    return false
  }

  /// The oldest point above the floor: of the volume itself, else of the peer's other volumes in the pool.
  private func dropPoint(in pool: String, for asking: SourceVolume) throws(ReplError) -> Bool {
    let retention = RetentionRun(context: context)
    if retention.dropOldestAboveFloor(of: [asking], in: pool) { return true }
    let volumes = try context.database.read { try TargetVolumeRecord.all($0) }
    var others: [SourceVolume] = []
    for volume in volumes where volume.cluster == asking.cluster && volume.pool == pool {
      others.append(try SourceVolume(cluster: volume.cluster, volume: volume.volume))
    }
    return retention.dropOldestAboveFloor(of: others, in: pool)
  }
}
