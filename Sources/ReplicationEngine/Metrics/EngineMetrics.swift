import AgentService
import BlockDiff
import CoreMetrics
import MetricsExposition
import ReplModel

/// What the engine counts when it happens, through swift-metrics. Any thread may record.
///
/// Every label has few values: outcomes, kinds of errors, pools of the configuration, clusters that are paired. Finding a
/// figure by its labels takes a lock; what the data path needs is found once per session (``shipping(to:)``).
struct EngineMetrics: Sendable {
  /// Which end of replication something is about.
  enum Side: String, CaseIterable { case source, target }

  enum SpaceStep: String, CaseIterable {
    case stopSnapshots = "stop_snapshots"
    case dropUnsent = "drop_unsent"
    case dropBase = "drop_base"
  }

  /// Why a session copied everything.
  enum FullCopy: String, CaseIterable, Sendable {
    /// Every seventh Migration of a pair.
    case seventh
    /// The pair's mode is OneTimeMigration.
    case oneTime = "one_time"
    /// Two seals in a row did not match.
    case mismatch
    /// The two sides have nothing in common to build on, as in the first session.
    case noBase = "no_base"
  }

  enum Removal: String, CaseIterable {
    case retention, orphaned
    case poolFull = "pool_full"
  }

  enum SessionOutcome: String, CaseIterable {
    case succeeded, failed, cancelled
    /// A Migration that waited took over what another one had sealed meanwhile.
    case reused
  }

  /// Records nothing.
  static let none = EngineMetrics(NOOPMetricsHandler.instance)

  private let factory: any MetricsFactory
  private let bandwidthWait: FloatingPointCounter

  init(_ factory: any MetricsFactory) {
    self.factory = factory
    bandwidthWait = FloatingPointCounter(label: EngineDefinitions.bandwidthWait.name, factory: factory)
  }

  /// Shows figures as 0 that have not happened yet, so that the first time is seen as a growth.
  func showZeros(pools: [String]) {
    for outcome in SessionOutcome.allCases { count(EngineDefinitions.sessions, [("outcome", outcome.rawValue)], 0) }
    for reason in FullCopy.allCases { count(EngineDefinitions.fullCopies, [("reason", reason.rawValue)], 0) }
    for reason in Removal.allCases { count(EngineDefinitions.pointsRemoved, [("reason", reason.rawValue)], 0) }
    for side in Side.allCases {
      let label = [("side", side.rawValue)]
      for metric in [
        EngineDefinitions.scrubbedBytes, EngineDefinitions.scrubMismatches, EngineDefinitions.mismatchedSegments,
      ] { count(metric, label, 0) }
      count(EngineDefinitions.repairs, label + [("outcome", "succeeded")], 0)
    }
    count(EngineDefinitions.repairs, [("side", Side.source.rawValue), ("outcome", "failed")], 0)
    for kind in Self.storageKinds { count(EngineDefinitions.storageErrors, [("reason", Self.name(kind))], 0) }
    for kind in [ReplError.Kind.io, .damaged] { count(EngineDefinitions.scrubErrors, [("reason", Self.name(kind))], 0) }
    for kind in [ReplError.Kind.unauthenticated, .transient, .protocolViolation] {
      count(EngineDefinitions.connectionsRefused, [("reason", Self.name(kind))], 0)
    }
    for step in SpaceStep.allCases {
      for pool in pools { count(EngineDefinitions.spaceSteps, [("step", step.rawValue), ("pool", pool)], 0) }
    }
  }

  // MARK: Sessions

  /// The session of a volume ended at the source.
  func ended(_ report: VolumeRunReport) {
    let outcome: SessionOutcome =
      switch report.state {
      case .succeeded: report.changeSource == "reused" ? .reused : .succeeded
      case .cancelled: .cancelled
      default: .failed
      }
    let label = [("outcome", outcome.rawValue)]
    count(EngineDefinitions.sessions, label)
    Recorder(label: EngineDefinitions.sessionSeconds.name, dimensions: label, factory: factory).record(report.seconds)
    guard outcome == .succeeded else { return }
    // A session that was proven before a restart does not know its change source any more.
    let source = report.changeSource.isEmpty ? "resumed" : report.changeSource
    count(EngineDefinitions.pointsSealed, [("change_source", source), ("proof", report.proof)])
  }

  func runFailed(_ kind: ReplError.Kind) { count(EngineDefinitions.runFailures, [("reason", Self.name(kind))]) }
  func fullCopy(_ reason: FullCopy) { count(EngineDefinitions.fullCopies, [("reason", reason.rawValue)]) }

  /// Where the sessions with a peer count their bytes.
  struct Shipping: Sendable {
    let changed: Counter
    let wire: Counter
  }

  func shipping(to cluster: String) -> Shipping {
    let label = [("cluster", cluster)]
    return Shipping(
      changed: Counter(label: EngineDefinitions.bytesChanged.name, dimensions: label, factory: factory),
      wire: Counter(label: EngineDefinitions.bytesOnWire.name, dimensions: label, factory: factory))
  }

  /// Where a data stream of a peer counts its bytes.
  func receiving(from cluster: String) -> Counter {
    Counter(label: EngineDefinitions.bytesReceived.name, dimensions: [("cluster", cluster)], factory: factory)
  }

  /// - Parameter nanoseconds: how long a stream was held back.
  func waited(nanoseconds: UInt64) {
    if nanoseconds > 0 { bandwidthWait.increment(by: Double(nanoseconds) / 1e9) }
  }

  // MARK: Upkeep

  func space(_ step: SpaceStep, pool: String) {
    count(EngineDefinitions.spaceSteps, [("step", step.rawValue), ("pool", pool)])
  }

  /// Where a scrub counts its bytes.
  func scrubbing(_ side: Side) -> Counter {
    Counter(label: EngineDefinitions.scrubbedBytes.name, dimensions: [("side", side.rawValue)], factory: factory)
  }

  /// `pace`, and what it is asked for is counted as scrubbed.
  func counted(_ side: Side, _ pace: @escaping Pace) -> Pace {
    let read = scrubbing(side)
    return { (bytes) throws(ReplError) in
      try pace(bytes)
      read.increment(by: Int64(clamping: bytes))
    }
  }

  func mismatch(_ side: Side, segments: Int) {
    count(EngineDefinitions.scrubMismatches, [("side", side.rawValue)])
    count(EngineDefinitions.mismatchedSegments, [("side", side.rawValue)], segments)
  }

  func scrubFailed(_ error: ReplError) {
    count(EngineDefinitions.scrubErrors, [("reason", Self.name(error.kind))])
  }

  func repaired(_ side: Side, succeeded: Bool) {
    count(EngineDefinitions.repairs, [("side", side.rawValue), ("outcome", succeeded ? "succeeded" : "failed")])
  }

  func pointRemoved(_ reason: Removal) { count(EngineDefinitions.pointsRemoved, [("reason", reason.rawValue)]) }

  // MARK: Refusals and errors

  func connectionRefused(_ error: ReplError) {
    count(EngineDefinitions.connectionsRefused, [("reason", Self.name(error.kind))])
  }

  func requestRefused(_ error: ReplError) {
    count(EngineDefinitions.requestsRefused, [("reason", Self.name(error.kind))])
  }

  /// Counts an error if it is one of storage.
  func storageError(_ error: ReplError) {
    guard Self.storageKinds.contains(error.kind) else { return }
    count(EngineDefinitions.storageErrors, [("reason", Self.name(error.kind))])
  }

  // MARK: -

  private static let storageKinds: [ReplError.Kind] = [.io, .noSpace, .damaged]

  private func count(_ metric: MetricDefinition, _ labels: [(String, String)], _ amount: Int = 1) {
    Counter(label: metric.name, dimensions: labels, factory: factory).increment(by: amount)
  }

  /// A kind of error as a label's value: `no_space`.
  static func name(_ kind: ReplError.Kind) -> String {
    "\(kind)".map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined()
  }
}
