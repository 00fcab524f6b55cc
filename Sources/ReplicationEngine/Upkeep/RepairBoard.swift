import Synchronization

/// Which peers' points were found damaged here and wait for the source to ship the damaged segments again.
final class RepairBoard: Sendable {
  private let wanted = Mutex<Set<String>>([])

  func want(from cluster: String) { wanted.withLock { _ = $0.insert(cluster) } }
  func isWanted(from cluster: String) -> Bool { wanted.withLock { $0.contains(cluster) } }
  func settle(_ cluster: String) { wanted.withLock { _ = $0.remove(cluster) } }
}
