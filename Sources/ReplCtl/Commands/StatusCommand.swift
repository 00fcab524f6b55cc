import APIModel
import ArgumentParser

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows the agent, its pools, peers and volumes.")

  @OptionGroup var options: GlobalOptions

  func run() throws {
    let report = try options.client.send("GET", ["agent", "v1", "status"])
    try options.print(report) { Self.text(report) }
  }

  private static func text(_ report: JSONValue) -> String {
    var parts = [
      health(report),
      """
      Cluster:             \(Field.text(report, "clusterID"))
      Node:                \(Field.text(report, "node"))
      Version:             \(Field.text(report, "version"))
      Running migrations:  \(Field.text(report, "activeMigrations"))
      """,
    ]
    var pools = TextTable(["POOL", "PATH", "FILESYSTEM", "TARGET", "TOTAL", "AVAILABLE", "SPACE"])
    pools.rows = (report["pools"]?.array ?? []).map { pool in
      [
        Field.text(pool, "name"), Field.text(pool, "path"), Field.text(pool, "fileSystem"), Field.text(pool, "target"),
        Field.size(pool, "totalBytes"), Field.size(pool, "availableBytes"), Field.text(pool, "space"),
      ]
    }
    parts.append(pools.text)
    let pairs = report["pairs"]?.array ?? []
    if !pairs.isEmpty {
      var table = TextTable(["PAIR", "PEER", "ADDRESS", "MODE", "READY", "REASON"])
      table.rows = pairs.map { pair in
        [
          "\(Field.text(pair, "reference.namespace"))/\(Field.text(pair, "reference.name"))",
          Field.text(pair, "peerClusterID"), "\(Field.text(pair, "host")):\(Field.text(pair, "port"))",
          Field.text(pair, "mode"), Field.text(pair, "ready"), Field.text(pair, "reason"),
        ]
      }
      parts.append(table.text)
    }
    let peers = report["peers"]?.array ?? []
    if !peers.isEmpty {
      var table = TextTable(["TRUSTED-CLUSTER", "NODE", "INVITED", "PAIRS", "TRUST-ENDS"])
      table.rows = peers.map { peer in
        [
          Field.text(peer, "cluster"), Field.text(peer, "node"), Field.text(peer, "invited"),
          (peer["pairs"]?.array ?? []).compactMap(\.string).joined(separator: ","), Field.text(peer, "trustEndsAt"),
        ]
      }
      parts.append(table.text)
    }
    let volumes = report["volumes"]?.array ?? []
    if !volumes.isEmpty { parts.append(VolumeTable.text(volumes, wide: false)) }
    return parts.joined(separator: "\n\n")
  }

  /// What is wrong comes before everything else.
  private static func health(_ report: JSONValue) -> String {
    let findings = report["health"]?.array ?? []
    guard !findings.isEmpty else { return "Health:              ok" }
    let lines = findings.map { "  \(Field.text($0, "subject")): \(Field.text($0, "text"))" }
    let count = findings.count == 1 ? "1 problem" : "\(findings.count) problems"
    return (["Health:              \(count)"] + lines).joined(separator: "\n")
  }
}

/// Volumes as lines: an own volume that goes to several clusters has a line for each.
enum VolumeTable {
  static func text(_ volumes: [JSONValue], wide: Bool) -> String {
    var table = TextTable(["NAMESPACE", "NAME", "ROLE", "PEER", "SIZE", "CHANGE-SOURCE", "LAG", "POOL", "PATH"])
    if wide { table.header += ["ID", "REASON"] }
    table.rows = volumes.flatMap { volume in
      let targets = volume["targets"]?.array ?? []
      guard !targets.isEmpty else {
        return [row(volume, peer: Field.text(volume, "sourceCluster"), lag: volume, wide)]
      }
      return targets.map { row(volume, peer: Field.text($0, "cluster"), lag: $0, wide) }
    }
    return table.text
  }

  private static func row(_ volume: JSONValue, peer: String, lag: JSONValue, _ wide: Bool) -> [String] {
    var row = [
      Field.text(volume, "namespace"), Field.text(volume, "name"), Field.text(volume, "role"), peer,
      Field.size(volume, "sizeBytes"), Field.text(volume, "changeSource"), Field.seconds(lag, "lagSeconds"),
      Field.text(volume, "pool"), Field.text(volume, "path"),
    ]
    if wide { row += [Field.text(volume, "id"), Field.text(volume, "changeSourceReason")] }
    return row
  }
}
