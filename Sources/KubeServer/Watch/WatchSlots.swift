import APIModel
import KubeModel
import Synchronization

/// How many watches clients may have open: each holds a connection, tasks and what ``WatchFeed`` gives at once.
final class WatchSlots: Sendable {
  private let taken = Mutex(0)
  private let limit: Int

  init(limit: Int = 1_024) { self.limit = limit }

  /// A place that is free again when nobody holds it any more. Throws 429 when there is none.
  func take() throws(StatusError) -> WatchSlot {
    let isFree = taken.withLock { taken in
      guard taken < limit else { return false }
      taken += 1
      return true
    }
    guard isFree else {
      throw StatusError(
        429, "TooManyRequests", "\(limit) watches are open: end some that are not needed", retryAfterSeconds: 10)
    }
    return WatchSlot(self)
  }

  fileprivate func release() { taken.withLock { $0 -= 1 } }
}

/// One open watch.
final class WatchSlot: Sendable {
  private let slots: WatchSlots

  fileprivate init(_ slots: WatchSlots) { self.slots = slots }

  deinit { slots.release() }
}
