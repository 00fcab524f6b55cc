import BlockDiff
import GRDB
public import MetricsExposition
import ReplModel
import WireProtocol
import Threads

/// What the engine is, holds and does at the moment of a scrape: one read of the database, one look at the pools.
public struct EngineCollector: MetricsCollector {
  public let name = "engine"
  private let engine: ReplicationEngine

  public init(_ engine: ReplicationEngine) { self.engine = engine }

  public func collect() async -> [MetricFamily]? {
    try? await engine.calls.run(.metrics) { [engine] () throws(ReplError) in
      var figures = EngineFigures(core: engine.core)
      try figures.read()
      return figures.set.families
    }
  }
}

/// Puts the figures of one moment together. Blocks.
struct EngineFigures {
  private let core: AgentCore
  private let now: Timestamp
  var set = MetricSet()

  init(core: AgentCore) {
    self.core = core
    now = core.clock.now()
  }

  mutating func read() throws(ReplError) {
    addAgent()
    addPools()
    try addPeers()
    let facts = try core.database.read { try VolumeFacts($0) }
    addSourceVolumes(facts)
    addTargetVolumes(facts)
    addLastSessions(facts)
    addSessionsUnderWay()
  }

  // MARK: The agent

  private mutating func addAgent() {
    let configuration = core.configuration
    set.add(
      EngineDefinitions.buildInfo,
      [("version", configuration.version), ("cluster_id", configuration.clusterID), ("node", configuration.node)], 1)
    let runs = core.runs.counts
    set.add(EngineDefinitions.runs, [("state", "running")], Double(runs.running))
    set.add(EngineDefinitions.runs, [("state", "waiting")], Double(runs.waiting))
    set.add(EngineDefinitions.targetSessions, [], Double(core.target.openSessions))
    let second = configuration.timeZone.secondOfDay(at: core.clock.now())
    if let limit = configuration.bandwidth.limit(at: second) {
      set.add(EngineDefinitions.bandwidthLimit, [], Double(limit))
    }
  }

  /// As they were at the last look: a file system that hangs holds up no scrape. One that nobody could ask is left out.
  private mutating func addPools() {
    for entry in core.pools.entries {
      let isFaulty = !core.probes.fault(of: .pool(entry.name)).isEmpty
      set.add(EngineDefinitions.poolFault, [("pool", entry.name)], isFaulty ? 1 : 0)
      guard let space = core.probes.space(of: .pool(entry.name)) else { continue }
      let label: MetricLabels = [("pool", entry.name)]
      set.add(EngineDefinitions.poolSize, label, Double(space.total))
      set.add(EngineDefinitions.poolFree, label, Double(space.available))
      let level: Double =
        switch core.pools.watermarks.level(of: space) {
        case .ok: 0
        case .low: 1
        case .floor: 2
        }
      set.add(EngineDefinitions.poolLevel, label, level)
    }
  }

  private mutating func addPeers() throws(ReplError) {
    let clusters = Set(try core.database.read { try PairRecord.all($0) }.map(\.peer)).sorted()
    for cluster in clusters {
      let link = core.links.existing(cluster)
      let answers = link.map { $0.lastError == nil && $0.clockOffset != nil } ?? false
      set.add(EngineDefinitions.peerConnected, [("cluster", cluster)], answers ? 1 : 0)
      if let offset = link?.clockOffset {
        set.add(EngineDefinitions.peerClockOffset, [("cluster", cluster)], Double(offset) / 1e9)
      }
    }
  }

  // MARK: Volumes

  private func labels(_ namespace: String, _ name: String, _ cluster: String = "") -> MetricLabels {
    [("namespace", namespace), ("volume", name), ("cluster", cluster)]
  }

  private func age(_ moment: Timestamp) -> Double { max(0, now.seconds(since: moment)) }

  private mutating func addSourceVolumes(_ facts: VolumeFacts) {
    for volume in facts.own {
      let base = labels(volume.namespace, volume.name)
      set.add(
        EngineDefinitions.volumeInfo, base + [("role", volume.role.rawValue), ("pool", volume.pool ?? "")], 1)
      set.add(EngineDefinitions.volumeSize, base, Double(volume.size))
      set.add(EngineDefinitions.distrusted, base, volume.distrustReason == nil ? 0 : 1)
      for (peer, held) in facts.snapshots[volume.id, default: [:]].sorted(by: { $0.key < $1.key }) {
        let labels = labels(volume.namespace, volume.name, peer)
        for (state, count) in held.counts.sorted(by: { $0.key < $1.key }) {
          set.add(EngineDefinitions.snapshots, labels + [("state", state)], Double(count))
        }
        if let taken = held.newestSealed, let lag = Lag(since: taken, now: now).seconds {
          set.add(EngineDefinitions.lag, labels, lag)
        }
        // What was scrubbed and is distrusted was not clean.
        if let scrubbed = held.scrubbed, volume.distrustReason == nil {
          set.add(EngineDefinitions.scrubAge, labels + [("side", "source")], age(scrubbed))
        }
      }
    }
  }

  /// Volumes of a peer made anew under an old name are one in the labels: their points are added up, and of ages the
  /// youngest counts. What is promoted or gone at its source is replicated no more and has no age.
  private mutating func addTargetVolumes(_ facts: VolumeFacts) {
    for (name, volumes) in facts.held {
      let labels = labels(name.namespace, name.name, name.cluster)
      // The newest record of a name comes last.
      if let volume = volumes.last {
        set.add(EngineDefinitions.volumeInfo, labels + [("role", volume.role.rawValue), ("pool", volume.pool)], 1)
      }
      let points = volumes.compactMap { facts.points[VolumeFacts.key($0.volume, $0.cluster)] }
      for state in PointState.allCases {
        let count = points.map { $0.counts[state.name] ?? 0 }.reduce(0, +)
        set.add(EngineDefinitions.points, labels + [("state", state.name)], Double(count))
      }
      let replicated = volumes.filter { $0.role == .target && $0.deletedAt == nil }
        .compactMap { facts.points[VolumeFacts.key($0.volume, $0.cluster)] }
      let offset = core.links.clockOffset(name.cluster)
      let lags = replicated.compactMap(\.newestSealed).map { Lag(of: $0, now: now, offset: offset) }
      let ages = lags.compactMap { $0.seconds ?? $0.atLeast }
      if let youngest = ages.min() { set.add(EngineDefinitions.pointAge, labels, youngest) }
      if let proven = replicated.compactMap(\.proven).max() {
        set.add(EngineDefinitions.scrubAge, labels + [("side", "target")], age(proven))
      }
    }
  }

  // MARK: Sessions

  private mutating func addLastSessions(_ facts: VolumeFacts) {
    for (peer, last) in core.source.lastSessions.all(of: Set(facts.own.map(\.id.description))) {
      let labels = labels(last.namespace, last.name, peer)
      set.add(EngineDefinitions.lastSuccess, labels, last.state == .succeeded ? 1 : 0)
      set.add(EngineDefinitions.lastSeconds, labels, last.seconds)
      set.add(EngineDefinitions.lastStall, labels, last.stallMilliseconds / 1000)
      set.add(EngineDefinitions.lastChanged, labels, Double(last.bytesChanged))
      set.add(EngineDefinitions.lastWire, labels, Double(last.bytesOnWire))
      set.add(
        EngineDefinitions.lastInfo, labels + [("change_source", last.changeSource), ("proof", last.proof)], 1)
    }
  }

  private mutating func addSessionsUnderWay() {
    for (peer, report) in core.runs.sessions where !report.state.isFinal {
      let labels = labels(report.namespace, report.name, peer)
      set.add(EngineDefinitions.planned, labels, Double(report.bytesTotal))
      set.add(EngineDefinitions.done, labels, Double(report.bytesDone))
      if let eta = report.etaSeconds { set.add(EngineDefinitions.eta, labels, eta) }
    }
  }
}
