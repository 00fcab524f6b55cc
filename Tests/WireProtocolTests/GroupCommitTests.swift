import ReplModel
import Testing

@testable import WireProtocol

@Suite("Commit of a group at the source")
struct GroupCommitTests {
  private let cut = ReplError(.transient, subject: "peer", cause: "connection reset")
  private let points: [VolumeID: PointID] = [Samples.volume: Samples.point, Samples.otherVolume: Samples.base]
  private var reply: ControlReply {
    .commitGroup(CommitReply(sealedAt: Samples.taken, points: [Samples.base, Samples.point]))
  }

  private func committing() -> GroupCommit {
    var group = GroupCommit(group: Samples.group, points: points)
    #expect(group.memberPrepared(Samples.volume) == .wait)
    #expect(group.memberPrepared(Samples.volume) == .wait, "the same member again")
    #expect(group.memberPrepared(Samples.id(0x99)) == .wait, "no member")
    #expect(group.memberPrepared(Samples.otherVolume) == .sendCommit(CommitGroup(group: Samples.group)))
    return group
  }

  @Test func commitComesWhenAllArePreparedAndConfirmWhenItIsRecorded() throws {
    var group = committing()
    guard case .recordCommit = group.receive(reply) else { throw Samples.Absent() }
    #expect(group.recorded() == .sendConfirm(ConfirmGroup(group: Samples.group)))
    #expect(group.receive(.confirmGroup) == .wait)
    #expect(group.phase == .done)
  }

  @Test func confirmIsNotSentBeforeTheCommitIsKnown() {
    let group = committing()
    #expect(group.recorded() == .wait)
  }

  @Test func aMemberThatFailsEndsTheGroup() {
    var group = GroupCommit(group: Samples.group, points: points)
    _ = group.memberPrepared(Samples.volume)
    #expect(group.memberFailed(cut) == .abortMembers(cut))
    #expect(group.memberPrepared(Samples.otherVolume) == .wait, "nothing is committed any more")
  }

  @Test func anAnswerWithOtherPointsIsAViolation() {
    var group = committing()
    let wrong = ControlReply.commitGroup(CommitReply(sealedAt: Samples.taken, points: [Samples.point]))
    guard case .abortMembers(let error) = group.receive(wrong) else {
      Issue.record("taken")
      return
    }
    #expect(error.kind == .protocolViolation)
  }

  @Test func aCommitThatWasCutIsAskedForAndSentAgain() {
    var group = committing()
    let queries = [
      QueryPoint(volume: Samples.volume, point: Samples.point),
      QueryPoint(volume: Samples.otherVolume, point: Samples.base),
    ]
    #expect(group.connectionLost() == .queryOutcome(queries))
    #expect(group.connectionLost() == .queryOutcome(queries))
    #expect(group.outcome(of: Samples.volume, .sealed(Samples.seal, state: .sealed)) == .wait)
    let again = group.outcome(of: Samples.otherVolume, .prepared(Samples.seal))
    #expect(again == .sendCommit(CommitGroup(group: Samples.group)))
  }

  @Test func aMemberThatIsGoneEndsTheGroup() {
    var group = committing()
    _ = group.connectionLost()
    guard case .abortMembers = group.outcome(of: Samples.volume, .unknown) else {
      Issue.record("committed without a member")
      return
    }
  }

  @Test func aConfirmThatWasCutIsSentAgain() {
    var group = committing()
    _ = group.receive(reply)
    #expect(group.connectionLost() == .sendConfirm(ConfirmGroup(group: Samples.group)))
  }
}
