import ReplModel
import Threads

/// Asks every paired peer now and then, each on a thread of its own: one that is silent slows none of the others.
final class Heartbeats: Sendable {
  private let threads: any AgentThreads
  private let ask: @Sendable (String) -> Void
  /// Clusters that have not answered the last time yet.
  private let asked = Locked<Set<String>>([])

  /// - Parameter ask: asks one cluster and returns when it has answered, or has not in time.
  init(threads: any AgentThreads, ask: @escaping @Sendable (String) -> Void) {
    self.threads = threads
    self.ask = ask
  }

  /// Asks all but those that are being asked still; does not wait for the answers.
  ///
  /// - Throws: `.transient` when the system has no thread left.
  func send(to clusters: Set<String>) throws(ReplError) {
    for cluster in clusters where asked.withLock({ $0.insert(cluster).inserted }) {
      do throws(ReplError) {
        // Its requests end with the link.
        try threads.start("heartbeat") { [self] in
          ask(cluster)
          asked.withLock { _ = $0.remove(cluster) }
        }
      } catch {
        asked.withLock { _ = $0.remove(cluster) }
        throw error
      }
    }
  }
}
