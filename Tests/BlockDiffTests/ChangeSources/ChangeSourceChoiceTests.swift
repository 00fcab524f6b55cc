import BlockDiff
import TestSupport
import Testing

@Suite struct ChangeSourceChoiceTests {
  private func facts(
    _ change: (inout ChangeSourceFacts) -> Void = { _ in }
  ) -> ChangeSourceFacts {
    var facts = ChangeSourceFacts(
      kind: .file, fileSystem: .xfs, poolOnSameFileSystem: true, baseTwinPresent: true, baseSumsPresent: true)
    change(&facts)
    return facts
  }

  @Test func reflinkIsTakenWhereEverythingIsAtHand() {
    let choice = ChangeSourceChoice(facts())
    #expect(choice.source == .reflink && choice.takesSnapshot)
    #expect(ChangeSourceChoice(facts { $0.fileSystem = .btrfs }).source == .reflink)
  }

  @Test func otherFileSystemsAndDevicesAreReadAndCompared() {
    let ext4 = ChangeSourceChoice(facts { $0.fileSystem = .other(magic: 0xef53) })
    #expect(ext4.source == .digest && !ext4.takesSnapshot && ext4.reason.contains("0xef53"))
    let device = ChangeSourceChoice(facts { $0.kind = .device })
    #expect(device.source == .digest && !device.takesSnapshot && device.reason.contains("block device"))
    let elsewhere = ChangeSourceChoice(facts { $0.poolOnSameFileSystem = false })
    #expect(elsewhere.source == .digest && !elsewhere.takesSnapshot && elsewhere.reason.contains("no pool"))
  }

  @Test func aLostTwinCostsReadingAndNotAFullCopy() {
    let choice = ChangeSourceChoice(facts { $0.baseTwinPresent = false })
    #expect(choice.source == .digest && choice.takesSnapshot)
  }

  @Test func aMissedChangeTurnsExtentMapsOff() {
    let choice = ChangeSourceChoice(facts { $0.distrustReason = "scrub found a missed change" })
    #expect(choice.source == .digest && choice.reason.contains("missed change"))
  }

  @Test func aFullCopyIsNeverSilent() {
    let first = ChangeSourceChoice(
      facts {
        $0.baseTwinPresent = false
        $0.baseSumsPresent = false
      })
    #expect(first.source == .full && first.reason.contains("first copy"))
    let seventh = ChangeSourceChoice(facts { $0.fullReason = "every 7th migration is full" })
    #expect(seventh.source == .full && seventh.reason.contains("7th"))
    let lost = ChangeSourceChoice(
      facts {
        $0.baseTwinPresent = false
        $0.baseSumsPresent = false
        $0.lostBaseReason = "the target lost point 12"
      })
    #expect(lost.source == .full && lost.reason.contains("point 12"))
  }
}
