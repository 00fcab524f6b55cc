/// Something that one thread at a time may work with for long, over input and output. Who waits for the turn waits on a
/// condition and holds no lock. Any thread may call; not from within the turn.
///
/// `@unchecked Sendable`: `state` is touched only by the thread that has the turn.
public final class Turn<State: ~Copyable>: @unchecked Sendable {
  private let isTaken = Monitor(false)
  private var state: State

  public init(_ state: consuming sending State) { self.state = state }

  /// Runs `body` when nobody else has the turn.
  public func take<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    _ = enter(until: .never)
    defer { isTaken.change { $0 = false } }
    return try body(&state)
  }

  /// As ``take(_:)``, but nil when the turn has not come by `deadline`.
  public func take<Result, Failure: Error>(
    until deadline: Deadline, _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    guard enter(until: deadline) else { return nil }
    defer { isTaken.change { $0 = false } }
    return try body(&state)
  }

  private func enter(until deadline: Deadline) -> Bool {
    isTaken.wait(until: deadline) { isTaken in
      guard !isTaken else { return nil }
      isTaken = true
      return true
    } ?? false
  }
}
