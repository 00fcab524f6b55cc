import ReplModel
import Threads

/// The data streams that the memory for buffers is enough for. Both directions share it: who ships takes what receivers
/// leave, and the other way round, and every session gets at least one. Any thread may call.
final class StreamBudget: Sendable {
  private let capacity: Int
  /// Streams of the source side. Held while the other side's are counted and given out.
  private let shipping = Locked(0)
  private let received = Locked<@Sendable () -> Int>({ 0 })

  /// - Parameter capacity: streams in all, at least 1.
  init(capacity: Int) { self.capacity = capacity }

  /// Says how the streams are counted that the target side has given out.
  func countReceived(_ count: @escaping @Sendable () -> Int) { received.withLock { $0 = count } }

  /// Ships over as many streams as there is memory for, at most `wanted`.
  func ship(upTo wanted: Int, _ body: (Int) throws(ReplError) -> Void) throws(ReplError) {
    let count = shipping.withLock { shipping in
      let free = capacity - shipping - received.withLock { $0 }()
      let count = max(1, min(wanted, free))
      shipping += count
      return count
    }
    defer { shipping.withLock { $0 -= count } }
    try body(count)
  }

  /// Gives out streams of the target side; `body` is told how many there may be of them altogether.
  func receive<Value>(_ body: (Int) -> Value) -> Value { shipping.withLock { body(capacity - $0) } }
}
