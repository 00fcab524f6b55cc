import BlockDiff
import ReplModel
import WireProtocol

/// What one session ships, and what its seal builds on. Used by one thread; closes its files with ``close()``.
final class SessionPlan {
  /// `reflink`, `digest`, `compare` or `full`.
  let changeSource: String
  /// Why not a better source; empty when there is none better.
  let reason: String
  let kind: SessionKind
  /// What the target's staging starts from.
  let base: PointID?
  /// Sum of what the session's differences are added to.
  let baseSum: BlockSum
  let mode: ChunkShipper.Mode
  /// The new snapshot's, complete once everything is shipped.
  let sums: SnapshotSums
  private let path: String
  private let summary: PlanSummary
  private let storage: any Storage
  private let files: [any StorageFile]

  init(
    changeSource: String, reason: String, kind: SessionKind, base: PointID?, baseSum: BlockSum,
    mode: ChunkShipper.Mode, sums: SnapshotSums, path: String, summary: PlanSummary, storage: any Storage,
    files: [any StorageFile]
  ) {
    self.changeSource = changeSource
    self.reason = reason
    self.kind = kind
    self.base = base
    self.baseSum = baseSum
    self.mode = mode
    self.sums = sums
    self.path = path
    self.summary = summary
    self.storage = storage
    self.files = files
  }

  var digest: Fingerprint { summary.digest }
  var plannedBytes: UInt64 { summary.plannedBytes }
  /// Those of them that are no zeros.
  var dataBytes: UInt64 { summary.dataBytes }

  /// The base that the seal names: none where both sides read everything.
  var sealBase: PointID? { kind == .delta ? base : nil }

  /// The sums that the shipper completes; nil when planning has taken them already.
  var sumsToTake: SnapshotSums? {
    if case .knownSums = mode { nil } else { sums }
  }

  /// The plan from its beginning, without what need not travel or be summed again.
  ///
  /// - Parameter durable: what the target has; nil when that is nothing.
  func cursor(durable: sending ResumeStream?) throws(ReplError) -> WorkItemCursor {
    let reader = try PlanReader(path, storage: storage)
    guard let taken = sumsToTake, let recorded = taken.recorded(), let equal = taken.recordedEqual() else {
      return WorkItemCursor(reader, settled: durable)
    }
    guard let durable else { return WorkItemCursor(reader, settled: equal, recorded: recorded) }
    return WorkItemCursor(reader, settled: ExtentUnion(durable, equal), recorded: recorded)
  }

  func close() {
    sums.close()
    for file in files { try? file.close() }
    try? storage.removeFile(path)
  }
}
