import Foundation
import GRDB
import ReplModel
import WireTransport

/// How long a cluster is trusted. A state, so that no clock decides about it.
enum PeerTrust: Hashable, Sendable {
  /// There is a pair on either side.
  case lasting
  /// The last pair is gone: so many seconds more, counted while the agent runs.
  case ending(seconds: Double)
  /// It was revoked, or its time is over: its pin opens nothing.
  case ended

  /// The column `trustSeconds`: none, above zero, zero.
  var seconds: Double? {
    switch self {
    case .lasting: nil
    case .ending(let seconds): max(0, seconds)
    case .ended: 0
    }
  }

  init(seconds: Double?) {
    self = seconds.map { $0 > 0 ? .ending(seconds: $0) : .ended } ?? .lasting
  }
}

/// A cluster we trust, or trusted, with the CA pinned for it.
struct PeerRecord: Hashable, Sendable {
  var cluster: String
  var node: String
  /// The peer's CA, DER.
  var authority: [UInt8]
  var host: String
  var port: UInt16
  var trust = PeerTrust.lasting
  /// Whether it has proved a token of ours and not taken its pair back since: it may be our source.
  var invited = false
  /// The address it last came from, for people: nobody dials it.
  var lastAddress = ""
}

extension PeerRecord {
  var pin: PinnedAuthority { PinnedAuthority(clusterID: cluster, caDER: authority) }

  init(row: Row) throws {
    cluster = try row.value("cluster")
    node = try row.value("node")
    authority = Array(try row.value("authority") as Data)
    host = try row.value("host")
    port = UInt16(clamping: try row.value("port") as Int64)
    trust = PeerTrust(seconds: try row.optional("trustSeconds"))
    invited = try row.value("invited")
    lastAddress = try row.value("lastAddress")
  }

  /// Pins the cluster's authority, or renews what is known of it.
  ///
  /// - Throws: `.refused` while another authority is pinned for the cluster: one name, one key, until it is revoked.
  func save(_ database: Database) throws {
    try Self.requireFree(database, for: cluster) { $0.hasKey(of: authority) }
    try database.execute(
      sql: """
        INSERT INTO peer (cluster, node, authority, host, port, trustSeconds, invited, lastAddress)
        VALUES (?,?,?,?,?,?,?,?)
        ON CONFLICT (cluster) DO UPDATE SET node = excluded.node, authority = excluded.authority,
          host = CASE excluded.host WHEN '' THEN host ELSE excluded.host END, port = excluded.port,
          trustSeconds = excluded.trustSeconds, invited = MAX(invited, excluded.invited),
          lastAddress = CASE excluded.lastAddress WHEN '' THEN lastAddress ELSE excluded.lastAddress END
        """,
      arguments: [cluster, node, Data(authority), host, Int64(port), trust.seconds, invited, lastAddress])
  }

  /// Refuses a cluster whose name is pinned for another authority than `isSame` says.
  static func requireFree(_ database: Database, for cluster: String, isSame: (PinnedAuthority) -> Bool) throws {
    guard let known = try find(database, cluster), known.trust != .ended, !isSame(known.pin) else { return }
    throw PairingConflict(cluster: cluster, node: known.node).error
  }

  static func all(_ database: Database) throws -> [PeerRecord] {
    try Row.fetchAll(database, sql: "SELECT * FROM peer ORDER BY cluster").map(PeerRecord.init(row:))
  }

  /// Sets how long a cluster is trusted, and whether it is still invited. What has ended stays so.
  static func setTrust(_ database: Database, _ cluster: String, _ trust: PeerTrust, invited: Bool) throws {
    try database.execute(
      sql: """
        UPDATE peer SET trustSeconds = ?, invited = ?
        WHERE cluster = ? AND (trustSeconds IS NULL OR trustSeconds > 0)
        """, arguments: [trust.seconds, invited, cluster])
  }

  /// Ends trust in a cluster, and with it every token it could pair again with.
  static func end(_ database: Database, _ cluster: String) throws {
    try setTrust(database, cluster, .ended, invited: false)
    try TokenRecord.withdraw(database, of: cluster)
  }

  /// Counts down the trust that ends; gives the clusters whose time is over now.
  static func countDown(_ database: Database, seconds: Double) throws -> [String] {
    let over = try all(database).filter { peer in
      if case .ending(let left) = peer.trust { left <= seconds } else { false }
    }
    for peer in over { try end(database, peer.cluster) }
    try database.execute(
      sql: "UPDATE peer SET trustSeconds = trustSeconds - ? WHERE trustSeconds > ?", arguments: [seconds, seconds])
    return over.map(\.cluster)
  }

  /// Notes the address a cluster came from.
  static func noteAddress(_ database: Database, _ cluster: String, _ address: String) throws {
    try database.execute(
      sql: "UPDATE peer SET lastAddress = ? WHERE cluster = ? AND lastAddress <> ?",
      arguments: [address, cluster, address])
  }

  /// It listens elsewhere from now on.
  static func move(_ database: Database, _ cluster: String, host: String, port: UInt16) throws {
    try database.execute(
      sql: "UPDATE peer SET host = ?, port = ? WHERE cluster = ?", arguments: [host, Int64(port), cluster])
  }

  static func find(_ database: Database, _ cluster: String) throws -> PeerRecord? {
    try Row.fetchOne(database, sql: "SELECT * FROM peer WHERE cluster = ?", arguments: [cluster])
      .map(PeerRecord.init(row:))
  }
}
