import BlockDiff
import Logging
import ReplModel
import Threads

/// What the target side works with. Everything that touches the world is in here, so that a simulation can replace it.
struct TargetContext: Sendable {
  var configuration: EngineConfiguration
  var database: AgentDatabase
  var storage: any Storage
  var pools: PoolSet
  var clock: any EngineClock
  var random = Randomness.system
  var elapsed: ElapsedClock
  var events: EventHub
  /// Peer's clock minus ours in nanoseconds, as measured; nil when not known.
  var clockOffset: @Sendable (String) -> Int64?
  /// Runs work that nobody waits for (ready clones, retention) on a thread of its own, or at once in a simulation.
  var background: @Sendable (@escaping @Sendable () -> Void) -> Void
  /// Whose points are damaged, told to the peers with their heartbeats.
  var repairs = RepairBoard()
  /// Ages mean nothing for a while after the clock has stepped.
  var clockSteps: ClockStepWatch
  var metrics = EngineMetrics.none
  var scrubPauses = ScrubPauses()
  var budgets = TargetBudgets()
  /// Shared with the source side.
  var streams: StreamBudget
  /// Runs long work of a peer on a thread of its own, or at once in a simulation.
  var spawn: @Sendable (@escaping @Sendable () -> Void) throws(ReplError) -> Void = { (work) throws(ReplError) in
    _ = try WorkerThread(name: "work", work)
  }
  var logger = Logger(label: "target") { _ in SwiftLogNoOpLogHandler() }
  /// Volumes whose doubtful segments could not be read just now.
  var doubtPauses = ScrubPauses()

  /// The points of a pool by its name; `notFound` when the configuration has no such pool any more.
  func store(pool name: String) throws(ReplError) -> PointStore {
    guard let layout = pools.layout(named: name) else { throw PoolSet.notConfigured(name) }
    return PointStore(layout: layout, storage: storage)
  }
}
