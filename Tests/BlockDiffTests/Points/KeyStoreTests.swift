import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct KeyStoreTests {
  @Test func aKeyIsDurableOnceItIsAnswered() throws {
    for seed in 0..<20 as Range<UInt64> {
      var fixture = try TargetFixture(seed: seed)
      try fixture.store.keys(of: fixture.source).store(fixture.key, of: fixture.lineage)
      fixture.disk.crash(using: &fixture.generator)
      let keys = try TargetFixture.openPool(fixture.disk).points.keys(of: fixture.source)
      let found = try keys.key(of: fixture.lineage)
      #expect(found == fixture.key)
    }
  }

  @Test func anUnknownLineageAsksForItsKey() throws {
    let fixture = try TargetFixture()
    let keys = try fixture.store.keys(of: fixture.source)
    #expect(errorKind { _ = try keys.key(of: fixture.lineage) } == .keyNeeded)
  }

  @Test func aLineageKeepsItsFirstKey() throws {
    var fixture = try TargetFixture()
    let keys = try fixture.store.keys(of: fixture.source)
    try keys.store(fixture.key, of: fixture.lineage)
    try keys.store(fixture.key, of: fixture.lineage)
    let other = FingerprintKey.random(using: &fixture.generator)
    #expect(errorKind { try keys.store(other, of: fixture.lineage) } == .refused)
    let kept = try keys.key(of: fixture.lineage)
    #expect(kept == fixture.key)
  }

  @Test func keysAreNotTakenForPoints() throws {
    let fixture = try TargetFixture()
    try fixture.store.keys(of: fixture.source).store(fixture.key, of: fixture.lineage)
    let listed = try fixture.store.points(of: fixture.source)
    #expect(listed.sealed.isEmpty && listed.damaged.isEmpty)
  }
}
