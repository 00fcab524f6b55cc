public import ReplModel

extension WorkerPool {
  /// Runs blocking work on a thread of the pool and awaits its result.
  ///
  /// - Throws: what `body` throws; `.transient` when too much waits already, or when the pool stops before it is begun.
  public func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(ReplError) -> Value
  ) async throws(ReplError) -> Value {
    let result: Result<Value, ReplError> = await withCheckedContinuation { continuation in
      let call = PendingCall(continuation)
      let isTaken = submit {
        do throws(ReplError) {
          call.answer(.success(try body()))
        } catch {
          call.answer(.failure(error))
        }
      }
      if !isTaken { call.answer(.failure(Self.busy)) }
    }
    return try result.get()
  }

  fileprivate static let busy = ReplError(
    .transient, subject: "agent", cause: "has too many calls of this kind under way", remedy: "try again later")
}

/// Somebody who awaits a result: answered once, and told so where the work is dropped before it is begun.
private final class PendingCall<Value: Sendable>: Sendable {
  private let waiter: Locked<CheckedContinuation<Result<Value, ReplError>, Never>?>

  init(_ waiter: CheckedContinuation<Result<Value, ReplError>, Never>) { self.waiter = Locked(waiter) }

  func answer(_ result: Result<Value, ReplError>) {
    let waiter = waiter.withLock { waiter in
      defer { waiter = nil }
      return waiter
    }
    waiter?.resume(returning: result)
  }

  deinit {
    answer(.failure(ReplError(.transient, subject: "agent", cause: "is stopping", remedy: "ask again when it runs")))
  }
}
