import BlockDiff
import ReplModel
import TestSupport
import Testing

@Suite struct FileLockingTests {
  @Test func onlyOneHolderAtATime() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/lock"
    let first = try FileLocking().lock(path)
    do {
      _ = try FileLocking().lock(path)
      Issue.record("locked twice")
    } catch {
      #expect(error.kind == .refused)
      #expect(error.cause.contains("process"))
    }
    first.release()
    _ = try FileLocking().lock(path)
  }

  @Test func theLockGoesWithItsHandle() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/lock"
    do { _ = try FileLocking().lock(path) }
    _ = try FileLocking().lock(path)
  }

  @Test func clusterIDsThatAreNoNamesAreRefused() {
    for bad in ["", ".", "..", "a/b", "a~b", "a b", ".a", "ä", String(repeating: "a", count: 65)] {
      #expect(errorKind { _ = try SourceVolume(cluster: bad, volume: VolumeID(high: 0, low: 1)) } == .invalid, "\(bad)")
    }
    #expect(errorKind { _ = try SourceVolume(cluster: "Site-1.east_2", volume: VolumeID(high: 0, low: 1)) } == nil)
  }
}
