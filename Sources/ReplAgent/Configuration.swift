import BlockDiff
import Foundation
import Glibc
import ReplModel
import ReplicationEngine

/// The daemon's configuration file as values, checked. Keys and defaults: systemd/config.example.yaml.
struct AgentConfiguration: Sendable {
  var engine: EngineConfiguration
  var socket = "/run/repl-agent/agent.sock"
  var api = LoopbackListen.automatic
  var metrics = MetricsListen.off
  /// IANA name of the zone of schedule policies; nil: the node's local zone.
  var timeZone: String?
  var logLevel = "info"
  var logFormat = LogFormat.journal
}

enum LogFormat: String, CaseIterable, Sendable {
  case journal, text, json
}

extension AgentConfiguration {
  /// Reads and checks a file; every problem found is reported, each with its line.
  ///
  /// - Throws: `.invalid` with all problems, `.notFound` or `.io` when the file cannot be read.
  static func load(_ path: String) throws(ReplError) -> AgentConfiguration {
    let text: String
    do {
      text = try String(contentsOfFile: path, encoding: .utf8)
    } catch {
      throw ReplError(.notFound, subject: path, cause: "cannot be read: \(error.localizedDescription)")
    }
    return try parse(text, file: path)
  }

  static func parse(_ text: String, file: String) throws(ReplError) -> AgentConfiguration {
    guard text.utf8.count <= 1 << 20 else {
      throw ReplError(.invalid, subject: file, cause: "is longer than 1 MiB: not a configuration")
    }
    let reader = try ConfigurationReader(text, file: file)
    let configuration = read(reader.root)
    try reader.finish()
    return configuration
  }

  private static func read(_ root: ConfigurationMap) -> AgentConfiguration {
    let clusterID = root.string("clusterID", required: true, check: Self.checkClusterID)
    let node = root.string("node", default: ProcessInfo.processInfo.hostName, check: Self.checkNode)
    let state = root.path("stateDirectory", required: true)
    let pools = readPools(root)
    let allowed = root.paths("allowedPaths") + pools.map(\.path)
    var engine = EngineConfiguration(
      clusterID: clusterID, node: node, stateDirectory: state, pools: pools, allowedPaths: allowed)
    let zone = root.string("timeZone", check: Self.checkTimeZone)
    engine.timeZone = TimeZone(identifier: zone) ?? .current
    readListen(root, &engine)
    readLimits(root, &engine)
    readUpkeep(root, &engine)
    _ = root.string("clusterDomain", default: "")
    var configuration = AgentConfiguration(engine: engine)
    root.map("metrics") { metrics in
      let text = metrics.string("listen", default: "") { MetricsListen($0) == nil ? MetricsListen.expected : nil }
      configuration.metrics = MetricsListen(text) ?? .off
    }
    root.map("api") { api in
      let text = api.string("listen", default: "") { LoopbackListen($0) == nil ? LoopbackListen.expected : nil }
      configuration.api = LoopbackListen(text) ?? .automatic
    }
    configuration.socket = root.path("socket", default: configuration.socket, limit: Self.socketPathLimit)
    configuration.timeZone = zone.isEmpty ? nil : zone
    root.map("log") { log in
      let levels = ["trace", "debug", "info", "notice", "warning", "error"]
      configuration.logLevel = log.choice("level", levels, default: "info")
      let format = log.choice("format", LogFormat.allCases.map(\.rawValue), default: "journal")
      configuration.logFormat = LogFormat(rawValue: format) ?? .journal
    }
    return configuration
  }

  private static func readPools(_ root: ConfigurationMap) -> [PoolConfiguration] {
    var pools: [PoolConfiguration] = []
    root.list("pools") { entry in
      let name = entry.string("name", required: true, check: Self.checkPoolName)
      let path = entry.path("path", required: true)
      if pools.contains(where: { $0.name == name }) { entry.complain(of: "name", "a pool is named twice") }
      if let other = pools.first(where: { Self.overlap($0.path, path) }) {
        entry.complain(of: "path", "lies in, is or holds the path \(other.path) of pool \(other.name)")
      }
      pools.append(PoolConfiguration(name: name, path: path))
    }
    return pools
  }

  private static func readListen(_ root: ConfigurationMap, _ engine: inout EngineConfiguration) {
    root.map("listen") { listen in
      let address = listen.string("address", default: "::", check: Self.checkAddress)
      engine.listenAddress = address.isEmpty ? "::" : address
      engine.controlPort = UInt16(listen.integer("controlPort", in: 1...65535, default: 9001))
      engine.dataPort = UInt16(listen.integer("dataPort", in: 1...65535, default: 9010))
      if engine.controlPort == engine.dataPort {
        let key = listen.has("dataPort") ? "dataPort" : "controlPort"
        listen.complain(of: key, "controlPort and dataPort are both \(engine.dataPort): they must differ")
      }
    }
  }

  private static func readLimits(_ root: ConfigurationMap, _ engine: inout EngineConfiguration) {
    root.map("limits") { limits in
      engine.memory = limits.bytes("memory", default: engine.memory)
      engine.streams = limits.integer("streams", in: 1...16, default: engine.streams)
      engine.concurrentVolumes = limits.integer("concurrentVolumes", in: 1...64, default: engine.concurrentVolumes)
      engine.bandwidth = BandwidthSchedule(bytesPerSecond: limits.rate("bandwidth"), windows: readWindows(limits))
      engine.peerStorage = limits.storageLimit("peerStorage")
    }
  }

  /// Parts of the day with a bandwidth of their own.
  private static func readWindows(_ limits: ConfigurationMap) -> [BandwidthSchedule.Window] {
    var windows: [BandwidthSchedule.Window] = []
    limits.list("bandwidthWindows") { window in
      let (start, end) = (window.timeOfDay("from"), window.timeOfDay("to"))
      if start == end { window.complain(of: "to", "is the time of 'from': a window has a beginning and an end") }
      windows.append(.init(start: start, end: end, bytesPerSecond: window.rate("bandwidth")))
    }
    return windows
  }

  private static func readUpkeep(_ root: ConfigurationMap, _ engine: inout EngineConfiguration) {
    root.map("scrub") { scrub in
      engine.scrubPeriod = scrub.duration("period", default: engine.scrubPeriod)
      engine.scrubRate = scrub.bytes("rate", default: engine.scrubRate)
    }
    root.map("retention") { retention in
      engine.retention = RetentionPolicy(
        keepLast: retention.integer("count", in: 1...100_000, default: 10),
        newerThan: retention.has("age") ? retention.duration("age", default: 0) : nil)
    }
    engine.pairRetention = root.duration("pairRetention", default: engine.pairRetention)
  }

  // MARK: Checks

  /// What the example has in place of a name: two machines with one name would be one cluster to their peers.
  private static let placeholder = "CHOOSE-A-NAME"

  private static func checkClusterID(_ text: String) -> String? {
    if text == placeholder { return "a name of your own for this site, one that no other site has" }
    return ClusterID.isValid(text)
      ? nil : "1 to 64 letters, digits, '.', '_' and '-', not beginning with '.'"
  }

  private static func checkNode(_ text: String) -> String? {
    let allowed = text.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95].contains(byte)
    }
    return allowed && (1...253).contains(text.utf8.count) ? nil : "1 to 253 letters, digits, '.', '_' and '-'"
  }

  private static func checkTimeZone(_ text: String) -> String? {
    // `UTC+2` is no name of the database: which way it counts is read in two ways.
    let isOffset = !text.contains("/") && text.contains { "+-".contains($0) }
    return text.isEmpty || (!isOffset && TimeZone(identifier: text) != nil)
      ? nil : "the name of a time zone such as Europe/Berlin or UTC"
  }

  private static func checkAddress(_ text: String) -> String? {
    var (v4, v6) = (in_addr(), in6_addr())
    let isAddress = text.isEmpty || inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1
    return isAddress ? nil : "an IPv4 or IPv6 address such as 192.0.2.7, 0.0.0.0 or '::'"
  }

  /// Bytes of the path of a socket: the kernel has room for one more, which ends it.
  private static let socketPathLimit = 107

  /// Whether one path is the other or lies in it.
  private static func overlap(_ one: String, _ other: String) -> Bool {
    let paths = [one, other].map { $0.split(separator: "/").filter { $0 != "." } }.sorted { $0.count < $1.count }
    return !one.isEmpty && !other.isEmpty && paths[1].starts(with: paths[0])
  }

  private static func checkPoolName(_ text: String) -> String? { checkNode(text) }
}
