public import ReplModel

/// Runs asynchronous work for threads that may block: the way back of ``WorkerPool/run(_:)``.
///
/// The caller's thread waits on a condition; the work runs on the cooperative pool and is never waited for there.
public final class AsyncBridge: Sendable {
  private struct Waiting {
    var isStopped = false
    var next = 0
    var interrupts: [Int: @Sendable () -> Void] = [:]
  }

  private let waiting = Locked(Waiting())

  public init() {}

  /// Runs `body` as a task and waits for it. Not from a task: it blocks.
  ///
  /// - Parameters:
  ///   - subject: what is asked, for errors.
  ///   - limit: after it the task is cancelled and left to end by itself.
  ///   - ended: called once: when the task has ended, which may be after this has thrown, or when none was started.
  /// - Throws: what `body` throws, `.transient` when the time is over or the bridge stops, which cancels the task too.
  public func run<Value: Sendable>(
    _ subject: String, limit: Duration, ended: @escaping @Sendable () -> Void = {},
    _ body: @escaping @Sendable () async throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    let outcome = Monitor<Result<Value, ReplError>?>(nil)
    let stopping = ReplError(.transient, subject: subject, cause: "nobody waits for it any more")
    let registered = waiting.withLock { waiting -> Int? in
      guard !waiting.isStopped else { return nil }
      waiting.next += 1
      waiting.interrupts[waiting.next] = { outcome.change { $0 = $0 ?? .failure(stopping) } }
      return waiting.next
    }
    guard let id = registered else {
      ended()
      throw stopping
    }
    let task = Task.detached {
      let result: Result<Value, ReplError>
      do throws(ReplError) {
        result = .success(try await body())
      } catch {
        result = .failure(error)
      }
      ended()
      outcome.change { $0 = $0 ?? result }
    }
    let result = outcome.wait(until: .after(limit)) { $0 }
    waiting.withLock { $0.interrupts[id] = nil }
    task.cancel()
    guard let result else {
      throw ReplError(
        .transient, subject: subject, cause: "was not answered within \(limit.components.seconds) s",
        remedy: "try again: what was done stays done")
    }
    return try result.get()
  }

  /// Ends every wait, and those to come.
  public func stop() {
    let interrupts = waiting.withLock { waiting in
      waiting.isStopped = true
      return Array(waiting.interrupts.values)
    }
    for interrupt in interrupts { interrupt() }
  }
}
