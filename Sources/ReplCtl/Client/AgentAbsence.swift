import Glibc

/// How long whoever waits for something bears an agent that does not answer: it may be restarted or updated meanwhile, and
/// what is waited for goes on when it is back.
struct AgentAbsence {
  private static let patience = Duration.seconds(120)

  var now: () -> ContinuousClock.Instant = { .now }
  var pause: () -> Void = { sleep(1) }
  /// Told once of each absence.
  var tell: (String) -> Void = Console.error
  private var since: ContinuousClock.Instant?
  /// Why the agent does not answer; nil while it does.
  private(set) var failure: Failure?

  init() {}

  /// What `ask` returns; nil, after a pause, when the agent does not answer and has not done so for two minutes at most.
  mutating func bridge<Value, Problem: Error>(_ ask: () throws(Problem) -> Value) throws(Problem) -> Value? {
    do throws(Problem) {
      let value = try ask()
      (since, failure) = (nil, nil)
      return value
    } catch {
      guard let cause = error as? Failure, cause.code == .unreachable else { throw error }
      let start = since ?? now()
      guard start.duration(to: now()) < Self.patience else { throw error }
      if since == nil { tell("the agent does not answer: waiting until it is back") }
      (since, failure) = (start, cause)
      pause()
      return nil
    }
  }
}
