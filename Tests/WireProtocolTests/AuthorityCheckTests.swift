import ReplModel
import Testing

@testable import WireProtocol

@Suite("Authority")
struct AuthorityCheckTests {
  private let ours = Branch(epoch: 5, id: Samples.id(1))
  private let parent: BranchID = Samples.id(2)
  private let grandparent: BranchID = Samples.id(3)

  private func check(_ offered: Branch, recorded: Branch?) -> AuthorityCheck {
    AuthorityCheck(recorded: recorded, offered: offered, ancestors: [parent, grandparent])
  }

  @Test func decisionsFollowIdsAndNeverEpochs() {
    for epoch: UInt64 in [0, 4, 5, 6, 1 << 60] {
      #expect(check(Branch(epoch: epoch, id: ours.id), recorded: ours) == .proceed)
      #expect(check(Branch(epoch: epoch, id: parent), recorded: ours) == .refusedOld)
      #expect(check(Branch(epoch: epoch, id: grandparent), recorded: ours) == .refusedOld)
      #expect(check(Branch(epoch: epoch, id: Samples.id(9)), recorded: ours) == .diverged)
      #expect(check(Branch(epoch: epoch, id: Samples.id(9)), recorded: nil) == .proceed)
    }
  }

  @Test func refusalsNameTheVolumeAndARemedy() {
    #expect(AuthorityCheck.proceed.refusal(subject: "volume a") == nil)
    #expect(AuthorityCheck.refusedOld.refusal(subject: "volume a")?.kind == .refused)
    #expect(AuthorityCheck.diverged.refusal(subject: "volume a")?.kind == .diverged)
    #expect(AuthorityCheck.diverged.refusal(subject: "volume a")?.remedy != nil)
  }
}
