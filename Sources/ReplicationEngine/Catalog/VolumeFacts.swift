import GRDB
import ReplModel

/// What the database says of all volumes, added up by SQLite: the cost does not grow with the count of points decoded.
struct VolumeFacts {
  /// Snapshots of one volume for one peer.
  struct Snapshots {
    var counts: [String: Int] = [:]
    var newestSealed: Timestamp?
    /// When one was last scrubbed.
    var scrubbed: Timestamp?
  }

  /// Points of one volume of a peer.
  struct Points {
    var counts: [String: Int] = [:]
    var newestSealed: HeldPoint?
    var proven: Timestamp?
  }

  /// What a volume of a peer is called.
  struct Name: Hashable {
    var namespace: String
    var name: String
    var cluster: String
  }

  var own: [VolumeRecord]
  var held: [(key: Name, value: [Replica])]
  /// By volume and peer.
  var snapshots: [VolumeID: [String: Snapshots]] = [:]
  /// By volume and cluster.
  var points: [String: Points] = [:]

  init(_ database: Database) throws {
    own = try VolumeRecord.all(database)
    let all = try Replica.held(database)
    held = Dictionary(grouping: all) { Name(namespace: $0.namespace, name: $0.name, cluster: $0.cluster) }
      .sorted { ($0.key.namespace, $0.key.name, $0.key.cluster) < ($1.key.namespace, $1.key.name, $1.key.cluster) }
    try readSnapshots(database)
    try readPoints(database)
    try readScrubs(database)
  }

  /// A pass over several snapshots or points is as good as one that was read whole.
  private mutating func readScrubs(_ database: Database) throws {
    for pass in try ScrubPass.clean(database) {
      switch pass.key.side {
      case .source:
        guard var held = snapshots[pass.key.volume]?[pass.key.cluster] else { continue }
        held.scrubbed = [held.scrubbed, pass.cleanAt].compactMap(\.self).max()
        snapshots[pass.key.volume]?[pass.key.cluster] = held
      case .target:
        let key = Self.key(pass.key.volume, pass.key.cluster)
        guard var held = points[key] else { continue }
        held.proven = [held.proven, pass.cleanAt].compactMap(\.self).max()
        points[key] = held
      }
    }
  }

  private mutating func readSnapshots(_ database: Database) throws {
    let rows = try Row.fetchAll(
      database,
      sql: """
        SELECT volume, peer, state, COUNT(*) AS count, MAX(scrubbedAt) AS scrubbed
        FROM snapshot GROUP BY volume, peer, state
        """)
    for row in rows {
      let (volume, peer, state): (VolumeID, String, String) = (
        try row.value("volume"), try row.value("peer"), try row.value("state")
      )
      var held = snapshots[volume, default: [:]][peer] ?? Snapshots()
      held.counts[state == SnapshotRecord.State.inDoubt.rawValue ? "in_doubt" : state] = try row.value("count")
      if state == SnapshotRecord.State.sealed.rawValue { held.scrubbed = try row.optional("scrubbed") }
      snapshots[volume, default: [:]][peer] = held
    }
    // The newest is that of the last generation: a clock may have been set back since the others.
    let newest = try Row.fetchAll(
      database,
      sql: "SELECT volume, peer, takenAt, MAX(generation) FROM snapshot WHERE state = 'sealed' GROUP BY volume, peer")
    for row in newest {
      let (volume, peer): (VolumeID, String) = (try row.value("volume"), try row.value("peer"))
      snapshots[volume, default: [:]][peer, default: Snapshots()].newestSealed = try row.optional("takenAt")
    }
  }

  private mutating func readPoints(_ database: Database) throws {
    let rows = try Row.fetchAll(
      database,
      sql: """
        SELECT cluster, volume, state, COUNT(*) AS count, MAX(provenAt) AS proven
        FROM point GROUP BY cluster, volume, state
        """)
    for row in rows {
      let (cluster, volume, state): (String, VolumeID, String) = (
        try row.value("cluster"), try row.value("volume"), try row.value("state")
      )
      var held = points[Self.key(volume, cluster)] ?? Points()
      held.counts[state] = try row.value("count")
      let proven: Timestamp? = try row.optional("proven")
      held.proven = [held.proven, proven].compactMap(\.self).max()
      points[Self.key(volume, cluster)] = held
    }
    var newest: [String: HeldPoint] = [:]
    try CatalogPoint.eachNewestSealed(database) { newest[Self.key($0.volume, $0.cluster)] = $0.held }
    for (key, point) in newest {
      points[key]?.newestSealed = point
    }
  }

  static func key(_ volume: VolumeID, _ cluster: String) -> String { "\(volume) \(cluster)" }
}
