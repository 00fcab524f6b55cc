import ReplModel
import Testing

@testable import WireProtocol

@Suite("Offset of clocks")
struct ClockOffsetTests {
  private func heartbeat(
    _ offset: inout ClockOffset, sent: Int64, ahead: Int64, out: Int64, back: Int64, work: Int64 = 1000
  ) {
    let received = sent + out + ahead
    let reply = HeartbeatReply(
      sentAt: Timestamp(nanoseconds: sent), receivedAt: Timestamp(nanoseconds: received),
      repliedAt: Timestamp(nanoseconds: received + work), repairWanted: false)
    offset.record(reply, arrivedAt: Timestamp(nanoseconds: sent + out + work + back))
  }

  @Test func theSampleWithTheShortestDelayIsBelieved() throws {
    var offset = ClockOffset()
    #expect(offset.nanoseconds == nil)
    let ahead: Int64 = 3_000_000_000
    heartbeat(&offset, sent: 1_000_000_000_000, ahead: ahead, out: 900_000_000, back: 1_000_000)
    heartbeat(&offset, sent: 1_001_000_000_000, ahead: ahead, out: 500_000, back: 500_000)
    heartbeat(&offset, sent: 1_002_000_000_000, ahead: ahead, out: 1_000_000, back: 700_000_000)
    #expect(offset.nanoseconds == ahead)
    #expect(offset.uncertainty == 500_000)
    #expect(offset.local(Timestamp(nanoseconds: 10_000_000_000)) == Timestamp(nanoseconds: 7_000_000_000))
    #expect(!offset.needsWarning)
  }

  @Test func theErrorIsNeverLargerThanSaid() throws {
    var random = SplitMix(seed: 9)
    for _ in 0..<500 {
      var offset = ClockOffset()
      let ahead = Int64(random.below(20_000_000_000)) - 10_000_000_000
      for number in 0..<10 {
        heartbeat(
          &offset, sent: 1_700_000_000_000_000_000 + Int64(number) * 1_000_000_000, ahead: ahead,
          out: Int64(random.below(1_000_000_000)), back: Int64(random.below(1_000_000_000)))
      }
      let found = try Samples.required(offset.nanoseconds)
      let bound = try Samples.required(offset.uncertainty)
      #expect(abs(found - ahead) <= bound + 2)
    }
  }

  @Test func warnsBeyondFiveSecondsForCertain() {
    for (ahead, expected) in [(5_100_000_000, true), (-5_100_000_000, true), (4_900_000_000, false)] as [(Int64, Bool)]
    {
      var offset = ClockOffset()
      heartbeat(&offset, sent: 1_000_000_000_000, ahead: ahead, out: 1_000_000, back: 1_000_000)
      #expect(offset.needsWarning == expected)
      offset.reset()
      #expect(!offset.needsWarning)
    }
  }

  @Test func answersInWhichAClockJumpedAreDropped() {
    var offset = ClockOffset()
    heartbeat(&offset, sent: 1_000_000_000_000, ahead: 0, out: 1000, back: -5_000_000)
    heartbeat(&offset, sent: 1_000_000_000_000, ahead: 0, out: 1000, back: 1000, work: -500)
    #expect(offset.nanoseconds == nil)
  }
}
