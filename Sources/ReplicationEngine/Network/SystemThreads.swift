import ReplModel
import Threads

/// The agent's threads as the system's.
final class SystemThreads: AgentThreads {
  private let streams = DedicatedThreads(name: "stream")
  private let queue = BoundedQueue<@Sendable () -> Void>(capacity: 256)
  private let background: WorkerThread

  init() throws(ReplError) {
    background = try WorkerThread(name: "background") { [queue] in
      while let work = queue.take() { work() }
    }
  }

  func start(_ name: String, _ work: @escaping @Sendable () -> Void) throws(ReplError) {
    _ = try WorkerThread(name: name, work)
  }

  /// At once when very much waits already.
  func later(_ work: @escaping @Sendable () -> Void) {
    if !queue.tryPut(work) { work() }
  }

  func runAll(
    _ count: Int, limit: Int, _ job: @escaping @Sendable (Int) throws(ReplError) -> Void
  ) throws(ReplError) {
    try streams.runAll(count, limit: limit, job)
  }

  /// Lets what has begun for ``later(_:)`` end and drops the rest: start-up makes up for it.
  func stop() {
    _ = queue.closeAndDrain()
    background.join()
  }
}
