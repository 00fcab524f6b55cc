import ReplModel

/// Threads that are started as work arrives, never more than a limit, and kept until the pool stops.
public final class WorkerPool: Sendable {
  package typealias Job = @Sendable () -> Void

  private struct State {
    var threads: [WorkerThread] = []
    var idle = 0
    var waiting = 0
    var stopped = false
  }

  private let name: String
  private let limit: Int
  private let jobs: BoundedQueue<Job>
  private let state = Locked(State())

  /// - Parameters:
  ///   - threads: most threads at once.
  ///   - queued: most jobs that wait for one.
  public init(name: String, threads: Int, queued: Int) {
    self.name = name
    limit = max(1, threads)
    jobs = BoundedQueue(capacity: max(1, queued))
  }

  /// Hands a job to a thread; false when all are busy and the queue is full, or the pool has stopped.
  package func submit(_ job: @escaping Job) -> Bool {
    state.withLock { state in
      guard !state.stopped, jobs.tryPut(job) else { return false }
      state.waiting += 1
      if state.idle < state.waiting, state.threads.count < limit { start(&state) }
      // Without any thread the job would wait for ever: it is taken back by stopping the queue's only content.
      guard state.threads.isEmpty else { return true }
      _ = jobs.take()
      state.waiting -= 1
      return false
    }
  }

  private func start(_ state: inout State) {
    do throws(ReplError) {
      state.threads.append(try WorkerThread(name: name) { [self] in run() })
      state.idle += 1
    } catch {
      // The threads there are take the job later.
    }
  }

  private func run() {
    while let job = jobs.take() {
      state.withLock {
        $0.idle -= 1
        $0.waiting -= 1
      }
      job()
      state.withLock { $0.idle += 1 }
    }
  }

  /// Takes no more jobs. Those that wait are dropped, those that run go on.
  public func stop() {
    state.withLock { state in
      state.stopped = true
      state.waiting -= jobs.closeAndDrain().count
    }
  }

  /// Waits for every thread, after ``stop()``. A thread of the pool does not wait for itself.
  package func join() {
    for thread in state.withLock({ $0.threads }) { thread.join() }
  }
}
