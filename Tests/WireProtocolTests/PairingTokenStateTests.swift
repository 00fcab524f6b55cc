import ReplModel
import Testing

@testable import WireProtocol

@Suite("State of a token")
struct PairingTokenStateTests {
  private let second: Int64 = 1_000_000_000

  private func at(_ seconds: Int64) -> Timestamp {
    Timestamp(nanoseconds: Samples.taken.nanoseconds + seconds * second)
  }

  private func use(
    _ state: inout PairingTokenState, at now: Timestamp, right: Bool, key: [UInt8] = [1]
  ) -> ReplError.Kind? {
    kind { try state.use(clientKey: key, cluster: "east", at: now) { right } }
  }

  private func fresh() -> PairingTokenState {
    PairingTokenState(
      id: PairingTokenID(secret: Samples.secret, crypto: Samples.crypto), secret: Samples.secret,
      madeAt: Samples.taken)
  }

  @Test func expiresAfterADayToTheNanosecond() {
    var state = fresh()
    let end = Timestamp(nanoseconds: Samples.taken.nanoseconds + PairingTokenState.lifetime)
    let last = Timestamp(nanoseconds: end.nanoseconds - 1)
    #expect(use(&state, at: last, right: true) == nil)
    #expect(use(&state, at: end, right: true) == .unauthenticated)
    #expect(state.isExpired(at: end))
  }

  @Test("a clock that goes back does not end a token: its time is counted by another one too")
  func clockBeforeItsMaking() {
    var state = fresh()
    #expect(use(&state, at: at(-365 * 86400), right: true) == nil)
    #expect(!state.isExpired(at: Timestamp(nanoseconds: .min)))
    #expect(state.isExpired(at: Timestamp(nanoseconds: .max)))
  }

  @Test("a token bound to a cluster is for no other, which is said only to who proves it")
  func bound() {
    func bound(to cluster: String) -> PairingTokenState {
      PairingTokenState(id: fresh().id, secret: Samples.secret, madeAt: Samples.taken, boundCluster: cluster)
    }
    var state = bound(to: "west")
    #expect(use(&state, at: at(1), right: false) == .unauthenticated)
    #expect(use(&state, at: at(2), right: true) == .refused)
    #expect(state.ownerKey == nil)
    state = bound(to: "east")
    #expect(use(&state, at: at(3), right: true) == nil)
  }

  @Test func fiveWrongTriesAMinuteShutItEvenForTheRightOne() {
    var state = fresh()
    for number in 0..<5 { #expect(use(&state, at: at(Int64(number)), right: false) == .unauthenticated) }
    var asked = false
    let result = kind {
      try state.use(clientKey: [1], cluster: "east", at: at(10)) {
        asked = true
        return true
      }
    }
    #expect(result == .unauthenticated)
    #expect(!asked, "the proof is not even looked at")
    #expect(state.failures.count == 5)
    #expect(use(&state, at: at(59), right: true) == .unauthenticated)
    #expect(use(&state, at: at(60), right: true) == nil)
  }

  @Test func rightTriesDoNotCount() {
    var state = fresh()
    for number in 0..<100 { #expect(use(&state, at: at(Int64(number) / 50), right: true) == nil) }
  }

  @Test func ownershipSurvivesBeingKept() {
    var state = fresh()
    #expect(use(&state, at: at(1), right: true, key: [7]) == nil)
    var again = PairingTokenState(
      id: state.id, secret: state.secret, madeAt: state.madeAt, ownerKey: state.ownerKey,
      ownerCluster: state.ownerCluster)
    #expect(use(&again, at: at(2), right: true, key: [7]) == nil)
    #expect(use(&again, at: at(3), right: true, key: [8]) == .refused)
    #expect(use(&again, at: at(4), right: false, key: [8]) == .unauthenticated, "a wrong proof learns nothing")
  }
}
