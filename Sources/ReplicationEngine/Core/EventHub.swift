import AgentService
import Threads

/// Hands what happened to everybody who listens. A subscriber that does not read loses the oldest, never blocks us.
final class EventHub: Sendable {
  private struct State {
    var next = 0
    var subscribers: [Int: AsyncStream<EngineEvent>.Continuation] = [:]
  }

  private let state = Locked(State())
  private static let backlog = 1024

  func subscribe() -> AsyncStream<EngineEvent> {
    AsyncStream(bufferingPolicy: .bufferingNewest(Self.backlog)) { continuation in
      let id = state.withLock { state in
        state.next += 1
        state.subscribers[state.next] = continuation
        return state.next
      }
      continuation.onTermination = { [weak self] _ in
        self?.state.withLock { _ = $0.subscribers.removeValue(forKey: id) }
      }
    }
  }

  func post(_ object: ObjectReference, warning: Bool = false, _ reason: String, _ message: String) {
    let listeners = state.withLock { Array($0.subscribers.values) }
    let event = EngineEvent(object: object, warning: warning, reason: reason, message: message)
    for listener in listeners { listener.yield(event) }
  }

  /// An event about a volume by its claim.
  func post(namespace: String, volume: String, warning: Bool, _ reason: String, _ message: String) {
    let object = ObjectReference(kind: "PersistentVolumeClaim", namespace: namespace, name: volume, uid: "")
    post(object, warning: warning, reason, message)
  }
}
