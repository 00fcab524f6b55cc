import Testing

@testable import ReplModel

/// The table of transitions, cell by cell.
@Suite struct AuthorityTests {
  private static let first = Branch(epoch: 5, id: BranchID(high: 0, low: 1))
  private static let second = Branch(epoch: 6, id: BranchID(high: 0, low: 2))
  private static let stranger = Branch(epoch: 5, id: BranchID(high: 0, low: 9))
  private static let lineage = LineageID(high: 0, low: 7)
  private static let point = PointID(high: 0, low: 8)

  private static func record(_ role: VolumeRole) -> Authority {
    Authority(lineage: lineage, branch: second, ancestors: [BranchPoint(branch: first, point: point)], role: role)
  }

  @Test("a volume begins its life as a source on a branch of its own; what follows a source is a target on the same")
  func beginnings() {
    let new = Authority.new()
    #expect(new.role == .source && new.branch.epoch == 1 && new.ancestors.isEmpty)
    #expect(Authority.new().lineage != new.lineage)
    let copy = Authority.following(lineage: new.lineage, branch: new.branch)
    #expect(copy.role == .target && copy.branch == new.branch && copy.lineage == new.lineage)
  }

  @Test("a promotion begins a branch that descends from the one before and knows at which point")
  func promotion() throws {
    let target = Authority.following(lineage: Self.lineage, branch: Self.first)
    let promoted = try target.applying(.promoted(branch: Self.second.id, point: Self.point))
    #expect(promoted == Self.record(.promoted))
    #expect(promoted.lineage == target.lineage)
  }

  @Test("a promotion that is withdrawn leaves what was there before, ancestors and all")
  func withdrawal() throws {
    let target = Self.record(.target)
    let promoted = try target.applying(.promoted(branch: .random(), point: .random()))
    #expect(try promoted.applying(.withdrawn) == target)
  }

  @Test(
    "only a target is promoted, and only a promotion withdrawn", arguments: [VolumeRole.source, .promoted, .demoted])
  func refusals(role: VolumeRole) {
    #expect(throws: AuthorityRefusal.notATarget(role)) {
      try Self.record(role).applying(.promoted(branch: .random(), point: .random()))
    }
    if role != .promoted {
      #expect(throws: AuthorityRefusal.notPromoted(role)) { try Self.record(role).applying(.withdrawn) }
    }
    #expect(throws: AuthorityRefusal.notPromoted(.target)) { try Self.record(.target).applying(.withdrawn) }
  }

  @Test(
    "a target admits sessions of its branch; ids decide, never epochs", arguments: [0, 4, 5, 6, 1 << 60] as [UInt64])
  func admission(epoch: UInt64) {
    func admission(_ branch: Branch) -> SessionAdmission {
      Self.record(.target).admission(lineage: Self.lineage, branch: Branch(epoch: epoch, id: branch.id))
    }
    #expect(admission(Self.second) == .admitted)
    #expect(admission(Self.first) == .superseded)
    #expect(admission(Self.stranger) == .diverged(.branch))
  }

  @Test("another lineage has diverged, on the same branch too")
  func otherLineage() {
    #expect(Self.record(.target).admission(lineage: .random(), branch: Self.second) == .diverged(.lineage))
  }

  @Test(
    "what is written here, or was, takes no points, whatever is offered",
    arguments: [VolumeRole.source, .promoted, .demoted])
  func inUse(role: VolumeRole) {
    for branch in [Self.first, Self.second, Self.stranger] {
      #expect(Self.record(role).admission(lineage: Self.lineage, branch: branch) == .inUse(role))
    }
  }
}
