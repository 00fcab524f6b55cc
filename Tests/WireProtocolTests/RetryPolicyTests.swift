import ReplModel
import Testing

@testable import WireProtocol

@Suite("Retries")
struct RetryPolicyTests {
  private let cut = ReplError(.transient, subject: "peer", cause: "connection reset")
  private let damage = ReplError(.damaged, subject: "volume", cause: "differs")

  private func pause(_ decision: RetryPolicy.Decision) -> UInt64? {
    switch decision {
    case .retry(let pause), .planAgain(let pause), .full(let pause): pause
    case .giveUp: nil
    }
  }

  @Test func pausesGrowToALimitAndVary() throws {
    var policy = RetryPolicy()
    var random = SplitMix(seed: 1)
    var expected: UInt64 = 1_000_000_000
    var seen: Set<UInt64> = []
    for _ in 0..<12 {
      let decision = policy.failed(cut, reachedPeer: false, at: 0, using: &random)
      let pause = try Samples.required(pause(decision))
      #expect((expected / 2...expected).contains(pause))
      seen.insert(pause)
      expected = min(expected * 2, 60_000_000_000)
    }
    #expect(seen.count == 12)
  }

  @Test func aPeerOutOfReachIsWaitedForUntilPatienceEnds() {
    var policy = RetryPolicy()
    var random = SplitMix(seed: 2)
    for second: UInt64 in [5, 100, 500, 904] {
      let decision = policy.failed(cut, reachedPeer: false, at: second * 1_000_000_000, using: &random)
      guard case .retry = decision else {
        Issue.record("\(decision) after \(second) seconds")
        return
      }
    }
    #expect(policy.failed(cut, reachedPeer: false, at: 905_000_000_000, using: &random) == .giveUp)
    policy.progressed()
    #expect(policy.failed(cut, reachedPeer: false, at: 906_000_000_000, using: &random) != .giveUp)
  }

  @Test func passingFailuresEndInPlanningAnewThenInGivingUp() {
    var policy = RetryPolicy()
    var random = SplitMix(seed: 3)
    let steps = (0..<6).map { _ in policy.failed(cut, reachedPeer: true, at: 0, using: &random) }
    let names = steps.map { "\($0)".prefix { $0 != "(" } }
    #expect(names == ["retry", "retry", "planAgain", "retry", "retry", "giveUp"])
  }

  @Test func damageIsNeverTriedTheSameWayAgain() {
    var policy = RetryPolicy()
    var random = SplitMix(seed: 4)
    var names: [Substring] = []
    for _ in 0..<3 {
      names.append("\(policy.failed(damage, reachedPeer: true, at: 0, using: &random))".prefix { $0 != "(" })
      policy.progressed()
    }
    #expect(names == ["planAgain", "full", "giveUp"], "progress does not mend damage")
    policy.succeeded()
    #expect(pause(policy.failed(damage, reachedPeer: true, at: 0, using: &random)) != nil)
  }

  @Test func whatRetryingCannotHelpIsGivenUpAtOnce() {
    let hopeless: [ReplError.Kind] = [
      .invalid, .notFound, .refused, .io, .noPointInTime, .protocolViolation, .diverged, .cancelled, .bug,
      .unauthenticated, .exists,
    ]
    for kind in hopeless {
      var policy = RetryPolicy()
      var random = SplitMix(seed: 5)
      let error = ReplError(kind, subject: "s", cause: "c")
      #expect(policy.failed(error, reachedPeer: true, at: 0, using: &random) == .giveUp)
    }
  }
}
