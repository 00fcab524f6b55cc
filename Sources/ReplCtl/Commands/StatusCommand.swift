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
    let volumes = report["volumes"]?.array ?? []
    let tables = [
      SessionTable.text(report), pools(report), pairs(report), peers(report),
      volumes.isEmpty ? "" : VolumeTable.text(volumes, wide: false),
    ]
    let head = """
      Cluster:             \(Field.text(report, "clusterID"))
      Node:                \(Field.text(report, "node"))
      Version:             \(Field.text(report, "version"))
      Running migrations:  \(Field.text(report, "activeMigrations"))
      Incoming volumes:    \(report["inbound"]?.array?.count ?? 0)
      """
    return ([health(report), head] + tables.filter { !$0.isEmpty }).joined(separator: "\n\n")
  }

  private static func pools(_ report: JSONValue) -> String {
    var table = TextTable(["POOL", "PATH", "FILESYSTEM", "TARGET", "TOTAL", "AVAILABLE", "SPACE"])
    table.rows = (report["pools"]?.array ?? []).map { pool in
      [
        Field.text(pool, "name"), Field.text(pool, "path"), Field.text(pool, "fileSystem"), Field.text(pool, "target"),
        Field.size(pool, "totalBytes"), Field.size(pool, "availableBytes"), Field.text(pool, "space"),
      ]
    }
    return table.text
  }

  private static func pairs(_ report: JSONValue) -> String {
    guard let pairs = report["pairs"]?.array, !pairs.isEmpty else { return "" }
    var table = TextTable(["PAIR", "PEER", "ADDRESS", "MODE", "READY", "LAST-SEEN", "CLOCK", "REASON"])
    table.rows = pairs.map { pair in
      [
        "\(Field.text(pair, "reference.namespace"))/\(Field.text(pair, "reference.name"))",
        Field.text(pair, "peerClusterID"), "\(Field.text(pair, "host")):\(Field.text(pair, "port"))",
        Field.text(pair, "mode"), Field.text(pair, "ready"), lastSeen(pair), offset(pair),
        Field.text(pair, "reason"),
      ]
    }
    return table.text
  }

  private static func lastSeen(_ peer: JSONValue) -> String {
    let seen = Field.seconds(peer, "secondsSinceHeard")
    return seen.isEmpty ? "never" : seen + " ago"
  }

  /// How far the peer's clock is ahead of this one, as in `+0.2s`.
  private static func offset(_ peer: JSONValue) -> String {
    guard let seconds = peer["clockOffsetSeconds"]?.double, abs(seconds) < 1e12 else { return "" }
    let tenths = (abs(seconds) * 10).rounded() / 10
    return (seconds < 0 && tenths > 0 ? "-" : "+") + (tenths < 60 ? "\(tenths)s" : DurationText.go(Int64(tenths)))
  }

  private static func peers(_ report: JSONValue) -> String {
    guard let peers = report["peers"]?.array, !peers.isEmpty else { return "" }
    var table = TextTable(["TRUSTED-CLUSTER", "NODE", "INVITED", "PAIRS", "LAST-SEEN", "CLOCK", "TRUST-ENDS"])
    table.rows = peers.map { peer in
      [
        Field.text(peer, "cluster"), Field.text(peer, "node"), Field.text(peer, "invited"),
        (peer["pairs"]?.array ?? []).compactMap(\.string).joined(separator: ","), lastSeen(peer), offset(peer),
        Field.text(peer, "trustEndsAt"),
      ]
    }
    return table.text
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
    var table = TextTable(["NAMESPACE", "NAME", "ROLE", "PEER", "SIZE", "CHANGE-SOURCE", "LAG", "LAST", "POOL", "PATH"])
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

  /// How the last Migration to a target ended; the reason is in the line about health, and in the Migration.
  private static func last(_ target: JSONValue) -> String {
    switch target["failedRuns"]?.integer {
    case nil: ""
    case 0: target["lagSeconds"]?.double == nil ? "" : "ok"
    case 1: "failed"
    case .some(let count): "failed x\(count)"
    }
  }

  private static func row(_ volume: JSONValue, peer: String, lag: JSONValue, _ wide: Bool) -> [String] {
    var row = [
      Field.text(volume, "namespace"), Field.text(volume, "name"), Field.text(volume, "role"), peer,
      Field.size(volume, "sizeBytes"), Field.text(volume, "changeSource"), Field.seconds(lag, "lagSeconds"), last(lag),
      Field.text(volume, "pool"), Field.text(volume, "path"),
    ]
    if wide { row += [Field.text(volume, "id"), Field.text(volume, "changeSourceReason")] }
    return row
  }
}
