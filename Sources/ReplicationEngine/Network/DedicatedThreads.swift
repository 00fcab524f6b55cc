import ReplModel
import Threads

/// Runs jobs on threads of their own.
struct DedicatedThreads: ThreadRunner {
  let name: String

  func runAll(
    _ count: Int, limit: Int, _ job: @escaping @Sendable (Int) throws(ReplError) -> Void
  ) throws(ReplError) {
    guard count > 1, limit > 1 else { return try InlineThreads().runAll(count, limit: limit, job) }
    let work = SharedWork(count: count, job: job)
    var threads: [WorkerThread] = []
    for _ in 1..<min(count, limit) {
      // Without threads to be had the caller's own does the work.
      guard let thread = try? WorkerThread(name: name, { work.run() }) else { break }
      threads.append(thread)
    }
    work.run()
    for thread in threads { thread.join() }
    if let error = work.firstError { throw error }
  }

  /// Job numbers handed out to whoever asks next.
  private final class SharedWork: Sendable {
    private let count: Int
    private let job: @Sendable (Int) throws(ReplError) -> Void
    private let state = Locked<(next: Int, error: ReplError?)>((0, nil))

    init(count: Int, job: @escaping @Sendable (Int) throws(ReplError) -> Void) {
      self.count = count
      self.job = job
    }

    var firstError: ReplError? { state.withLock { $0.error } }

    func run() {
      while let index = take() {
        do throws(ReplError) {
          try job(index)
        } catch {
          state.withLock { if $0.error == nil { $0.error = error } }
        }
      }
    }

    private func take() -> Int? {
      state.withLock { state in
        guard state.next < count else { return nil }
        defer { state.next += 1 }
        return state.next
      }
    }
  }
}
