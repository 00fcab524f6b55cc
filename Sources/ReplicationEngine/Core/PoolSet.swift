import BlockDiff
import ReplModel

/// The pools of this agent, opened and locked, by name.
struct PoolSet: Sendable {
  struct Entry: Sendable {
    var name: String
    var pool: Pool
    var layout: PoolLayout { pool.layout }
  }

  /// In the order of the configuration.
  var entries: [Entry]
  var storage: any Storage
  var watermarks = SpaceWatermarks()

  var layouts: [PoolLayout] { entries.map(\.layout) }

  func entry(named name: String) -> Entry? { entries.first { $0.name == name } }
  func layout(named name: String) -> PoolLayout? { entry(named: name)?.layout }

  /// Whether the file system around a path in a pool gives data at all. While it does not, nothing is known of any of its
  /// files; outside of the pools nobody can tell, and the file is to blame.
  func answers(around path: String) -> Bool {
    guard let layout = layouts.first(where: { path.hasPrefix($0.root + "/") }) else { return true }
    return storage.answers(layout.superblock)
  }

  /// The pool that points of a new target volume go to: of those that can hold any, the one with most room.
  func poolForPoints() throws(ReplError) -> Entry {
    var best: (Entry, UInt64)?
    for entry in entries where entry.pool.supportsPoints {
      let room = try storage.space(at: entry.layout.pool).available
      if best == nil || room > (best?.1 ?? 0) { best = (entry, room) }
    }
    if let best { return best.0 }
    throw entries.compactMap(\.pool.pointRefusal).first
      ?? ReplError(
        .refused, subject: "this agent", cause: "has no pool to keep recovery points in",
        remedy: "name one under 'pools' in the configuration, on XFS with reflink=1 or on btrfs")
  }

  static func notConfigured(_ name: String) -> ReplError {
    ReplError(
      .notFound, subject: "pool \(name)", cause: "is not in the configuration any more",
      remedy: "name it under 'pools' again: it holds recovery points")
  }

  /// Throws unless the pool can take points now.
  func requirePoints(in name: String) throws(ReplError) {
    guard let entry = entry(named: name) else { throw Self.notConfigured(name) }
    if let refusal = entry.pool.pointRefusal { throw refusal }
    try entry.pool.requirePresent()
  }

  /// Production first: below the low mark no snapshot is taken.
  func requireRoomForSnapshot(_ layout: PoolLayout) throws(ReplError) {
    let space = try storage.space(at: layout.pool)
    guard watermarks.level(of: space) == .ok else {
      throw ReplError(
        .noSpace, subject: "pool \(layout.pool)",
        cause: "only \(space.available) of \(space.total) bytes are free, below the low mark: no snapshot is taken",
        remedy: "make room on the file system, or move volumes to another pool")
    }
  }
}

extension PoolSet {
  /// Opens and locks every pool of the configuration. One that was used before must be there already.
  static func open(
    _ configuration: EngineConfiguration, database: AgentDatabase, storage: any Storage,
    lock: any PoolLocking = FileLocking()
  ) throws(ReplError) -> PoolSet {
    let owner = PoolOwner(cluster: configuration.clusterID, node: configuration.node)
    var entries: [Entry] = []
    do throws(ReplError) {
      for wanted in configuration.pools {
        let known = try database.read { try KnownPool.find($0, wanted.name) }
        let pool = try Pool.open(wanted.path, owner: owner, known: known, storage: storage, lock: lock)
        entries.append(Entry(name: wanted.name, pool: pool))
        try database.write { try KnownPool.save($0, wanted.name, pool.id) }
      }
    } catch {
      for entry in entries { entry.pool.close() }
      throw error
    }
    return PoolSet(entries: entries, storage: storage)
  }
}
