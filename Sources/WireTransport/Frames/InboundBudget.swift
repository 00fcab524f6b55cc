import Threads

/// What one peer may have under way at an agent at once, over all its connections: bytes of request bodies that arrive, wait
/// or are being answered, and requests. Safe on every thread.
public final class InboundBudget: Sendable {
  /// Requests that one peer may have waiting or being answered.
  public static let standardRequests = 128
  /// Bytes of their bodies: a few documents' parts on every connection.
  public static let standardBytes = 16 << 20

  private struct Use {
    var bytes = 0
    var requests = 0
  }

  private let bytes: Int
  private let requests: Int
  private let use = Monitor(Use())

  public init(bytes: Int = InboundBudget.standardBytes, requests: Int = InboundBudget.standardRequests) {
    self.bytes = bytes
    self.requests = requests
  }

  /// A share of the budget, given back when nobody holds it any more.
  final class Share: Sendable {
    private let count: Int
    private let giveBack: @Sendable (Int) -> Void

    init(count: Int, giveBack: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.giveBack = giveBack
    }

    deinit { giveBack(count) }
  }

  /// Waits until there is room for a body of `count` bytes. One that is larger than all of the budget has it for itself.
  ///
  /// - Returns: nil when the deadline passes first.
  func bytes(_ count: Int, until deadline: Deadline) -> Share? {
    let limit = bytes
    let got: Bool? = use.wait(until: deadline) { use in
      guard use.bytes == 0 || use.bytes + count <= limit else { return nil }
      use.bytes += count
      return true
    }
    guard got == true else { return nil }
    return Share(count: count) { [use] count in use.change { $0.bytes -= count } }
  }

  /// A place for one more request; nil when there are too many.
  func request() -> Share? {
    let taken = use.change { use in
      guard use.requests < requests else { return false }
      use.requests += 1
      return true
    }
    guard taken else { return nil }
    return Share(count: 1) { [use] count in use.change { $0.requests -= count } }
  }
}
