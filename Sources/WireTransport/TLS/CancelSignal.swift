import CStorageShims
import Glibc
import Synchronization
import Threads

/// Ends waits from any thread: an eventfd that becomes readable once and stays so.
public final class CancelSignal: Sendable {
  /// Readable once cancelled; negative when there was none to be had.
  let descriptor: Int32
  private let fired = Atomic(false)

  public init() { descriptor = css_event_new() }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether it was cancelled.
  public var isCancelled: Bool { fired.load(ordering: .acquiring) }

  /// Wakes all who wait, now and later. May be called again.
  public func cancel() {
    guard !fired.exchange(true, ordering: .acquiringAndReleasing) else { return }
    if descriptor >= 0 { css_event_signal(descriptor) }
  }

  enum Outcome {
    case ready
    case cancelled
    case timedOut
  }

  /// Waits until the socket has one of `events`, this signal is given or the deadline passes.
  func wait(for socket: Int32, events: Int32, until deadline: Deadline) -> Outcome {
    while true {
      if isCancelled { return .cancelled }
      // Without an eventfd (no descriptors left) cancellation is looked at ten times a second.
      let limit = deadline.pollMilliseconds
      let timeout = descriptor >= 0 ? limit : (limit < 0 ? 100 : min(limit, 100))
      var list = [
        pollfd(fd: socket, events: Int16(events), revents: 0),
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&list, 2, timeout)
      if isCancelled { return .cancelled }
      if count > 0, list[0].revents != 0 { return .ready }
      if deadline.isOver { return .timedOut }
    }
  }
}
