import BlockDiff
import Logging
import ReplModel

/// Everything outside of itself that an agent works with. The daemon makes it of the real things, the simulator of its
/// own; the agent is the same.
struct AgentEnvironment: Sendable {
  var storage: any Storage
  /// Locks pools against other agents.
  var locks: any PoolLocking
  /// Opened by whoever makes the environment, which outlives the agent in a simulation.
  var database: AgentDatabase
  var live: any LiveVolumes
  var flusher: any VolumeFlusher
  var clock: any EngineClock
  var elapsed: ElapsedClock
  var random = Randomness.system
  var threads: any AgentThreads
  var network: any PeerNetwork
  var metrics = EngineMetrics.none
  var logger: Logger
}

/// Threads for work that blocks.
protocol AgentThreads: ThreadRunner {
  /// Starts work on a thread of its own. Nobody waits for its end: it holds nothing that is not durable.
  ///
  /// - Throws: `.transient` when the system has no thread left.
  func start(_ name: String, _ work: @escaping @Sendable () -> Void) throws(ReplError)
  /// Has work done that nobody waits for, one after the other.
  func later(_ work: @escaping @Sendable () -> Void)
}

/// Where ids come from: a source of random numbers that any thread may use.
struct Randomness: RandomNumberGenerator, Sendable {
  private let draw: @Sendable () -> UInt64

  init(_ draw: @escaping @Sendable () -> UInt64) { self.draw = draw }

  /// The system's.
  static let system = Randomness {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }

  func next() -> UInt64 { draw() }

  /// A fresh identity.
  func identifier<Tag>() -> Identifier<Tag> {
    var generator = self
    return .random(using: &generator)
  }
}
