import ReplModel
import Threads

/// Threads for the calls of the control plane, which block: a bounded number for each topic, so that calls that hang with
/// a file system or a peer leave the others theirs. Any task may call.
final class CallPools: Sendable {
  /// What a call is about.
  enum Topic: String, CaseIterable, Sendable {
    case volumes, pairs, migrations, promotions, documents, points, status, metrics
    /// Points read or cloned whole.
    case contents

    /// Most calls at once; more of them wait.
    var threads: Int {
      switch self {
      case .documents, .contents: 16
      case .volumes, .pairs, .points: 8
      case .migrations, .promotions, .status: 4
      case .metrics: 2
      }
    }
  }

  /// Calls of one topic that may wait.
  private static let queued = 1024
  private let pools: [Topic: WorkerPool]

  init() {
    pools = Dictionary(
      uniqueKeysWithValues: Topic.allCases.map {
        ($0, WorkerPool(name: $0.rawValue, threads: $0.threads, queued: Self.queued))
      })
  }

  /// Runs blocking work and awaits its result.
  ///
  /// - Throws: what `body` throws; `.transient` when too much waits already, or the agent stops.
  func run<Value: Sendable>(
    _ topic: Topic, _ body: @escaping @Sendable () throws(ReplError) -> Value
  ) async throws(ReplError) -> Value {
    guard let pool = pools[topic] else { throw ReplError(.bug, subject: "agent", cause: "has no threads for \(topic)") }
    return try await pool.run(body)
  }

  /// Begins no call any more. Who waits is told; what has begun goes on.
  func stop() { for pool in pools.values { pool.stop() } }
}
