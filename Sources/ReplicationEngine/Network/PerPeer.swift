import Threads

/// A value for each peer, by cluster, made when it is first asked for. Peers are as many as are paired.
final class PerPeer<Value: Sendable>: Sendable {
  private let values = Locked<[String: Value]>([:])
  private let make: @Sendable () -> Value

  init(_ make: @escaping @Sendable () -> Value) { self.make = make }

  subscript(cluster: String) -> Value {
    values.withLock { values in
      let value = values[cluster] ?? make()
      values[cluster] = value
      return value
    }
  }

  var all: [Value] { values.withLock { Array($0.values) } }
}
