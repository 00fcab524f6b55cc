import ReplModel
import Synchronization
import Threads

/// Has chores done, each on a thread of its own.
final class Upkeep: Sendable {
  private let stopSignal = Atomic<Bool>(false)
  private let threads = Locked<[WorkerThread]>([])
  private let clock: any EngineClock

  init(_ chores: [Chore], clock: any EngineClock) throws(ReplError) {
    self.clock = clock
    for chore in chores {
      let thread = try WorkerThread(name: chore.name) { [self] in run(chore) }
      if chore.isWaitedFor { threads.withLock { $0.append(thread) } }
    }
  }

  private var isStopped: Bool { stopSignal.load(ordering: .relaxed) }

  func stop() {
    stopSignal.store(true, ordering: .relaxed)
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  private func run(_ chore: Chore) {
    var due = clock.ticks()
    while !isStopped {
      if clock.ticks() >= due {
        chore.round { [self] in isStopped }
        guard let seconds = chore.seconds else { return }
        due = clock.ticks() + seconds
      }
      clock.sleep(seconds: 0.1)
    }
  }
}
