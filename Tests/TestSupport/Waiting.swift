public import ReplModel
public import Threads

/// How long a test waits for what must happen; only a failing test waits so long.
public let patience = Duration.seconds(20)

/// The outcome as a value.
public func capture<Value>(_ body: () throws(ReplError) -> Value) -> Result<Value, ReplError> {
  do throws(ReplError) { return .success(try body()) } catch { return .failure(error) }
}

/// Runs `body` on a thread of its own and gives its outcome through a queue.
public func onThread<Value: Sendable>(
  _ body: @escaping @Sendable () throws(ReplError) -> Value
) throws -> BoundedQueue<Result<Value, ReplError>> {
  let queue = BoundedQueue<Result<Value, ReplError>>(capacity: 1)
  _ = try WorkerThread(name: "test") { queue.put(capture(body)) }
  return queue
}
