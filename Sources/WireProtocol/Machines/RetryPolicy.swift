public import ReplModel

/// What to do after a session failed. Pure; the instant and the randomness are passed in.
///
/// A peer that cannot be reached is waited for with growing pauses until ``patience`` ends. Passing failures are met with the
/// same try until ``failureLimit`` of them came without progress, then the session is planned anew, then given up: copying
/// everything does not mend a network or make room. Damage is never tried the same way again: the session is planned anew,
/// then shipped in full, then given up. Everything else is given up at once.
public struct RetryPolicy: Hashable, Sendable {
  public enum Decision: Hashable, Sendable {
    /// Begin the same session again, which resumes, after so many nanoseconds.
    case retry(after: UInt64)
    /// Give the session up and plan anew from the newest common base.
    case planAgain(after: UInt64)
    /// Give the session up and read everything.
    case full(after: UInt64)
    /// End with the error.
    case giveUp
  }

  /// Nanoseconds before the first retry.
  public var firstDelay: UInt64 = 1_000_000_000
  /// Longest pause in nanoseconds.
  public var longestDelay: UInt64 = 60_000_000_000
  /// Failures without progress that end the same way of trying.
  public var failureLimit = 3
  /// Nanoseconds a peer may be out of reach.
  public var patience: UInt64 = 900_000_000_000

  private var delay: UInt64?
  private var failures = 0
  private var plannedAgain = false
  private var damages = 0
  private var unreachableSince: UInt64?

  public init() {}

  /// Data became durable: passing failures before are over. Damage is not.
  public mutating func progressed() {
    (delay, unreachableSince) = (nil, nil)
    (failures, plannedAgain) = (0, false)
  }

  /// The session came to its seal: everything begins anew.
  public mutating func succeeded() {
    progressed()
    damages = 0
  }

  /// Decides on a failure.
  ///
  /// - Parameters:
  ///   - reachedPeer: whether the connection stood when it failed.
  ///   - now: nanoseconds of a clock that never goes back.
  public mutating func failed(
    _ error: ReplError, reachedPeer: Bool, at now: UInt64, using generator: inout some RandomNumberGenerator
  ) -> Decision {
    if reachedPeer { unreachableSince = nil }
    switch error.kind {
    case .transient where !reachedPeer: return waitForPeer(at: now, using: &generator)
    case .transient, .noSpace, .keyNeeded: return passing(using: &generator)
    case .damaged: return damaged(using: &generator)
    default: return .giveUp
    }
  }

  private mutating func waitForPeer(
    at now: UInt64, using generator: inout some RandomNumberGenerator
  ) -> Decision {
    let since = unreachableSince ?? now
    unreachableSince = since
    guard now < since || now - since < patience else { return .giveUp }
    return .retry(after: nextDelay(using: &generator))
  }

  private mutating func passing(using generator: inout some RandomNumberGenerator) -> Decision {
    failures += 1
    guard failures >= failureLimit else { return .retry(after: nextDelay(using: &generator)) }
    guard !plannedAgain else { return .giveUp }
    (failures, plannedAgain) = (0, true)
    return .planAgain(after: nextDelay(using: &generator))
  }

  private mutating func damaged(using generator: inout some RandomNumberGenerator) -> Decision {
    damages += 1
    switch damages {
    case 1: return .planAgain(after: nextDelay(using: &generator))
    case 2: return .full(after: nextDelay(using: &generator))
    default: return .giveUp
    }
  }

  /// Doubles up to the longest pause; each between half and all of it, so that many sessions do not come at once.
  private mutating func nextDelay(using generator: inout some RandomNumberGenerator) -> UInt64 {
    let full = min(delay ?? firstDelay, longestDelay)
    delay = min(full * 2, longestDelay)
    return full / 2 + UInt64.random(in: 0...full - full / 2, using: &generator)
  }
}
