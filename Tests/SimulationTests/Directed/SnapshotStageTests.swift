import AgentService
import BlockDiff
import ReplModel
import TestSupport
import Testing
import WireProtocol

@testable import ReplicationEngine

/// What a run says of its snapshots, on which whoever stopped the writers relies.
@Suite struct SnapshotStageTests {
  @Test("when the first member is shipped the snapshots of all of them are taken, and the run says so")
  func together() throws {
    let world = try World.written(3)
    var stages: [[RunStage]] = []
    world.onRequest = { request in
      guard case .beginSession = request, let run = world.currentRun else { return }
      stages.append(run.members.values.map(\.report.stage))
    }
    #expect(try world.migrate()?.state == .succeeded)
    let first = try #require(stages.first)
    #expect(first.count == 3)
    #expect(!first.contains(.snapshot))
  }

  @Test("peers are asked for all members before the first snapshot is taken: nothing comes between two snapshots")
  func closeTogether() throws {
    let world = try World.written(3)
    var taken: [Int] = []
    world.onRequest = { [unowned world] request in
      guard case .inventory = request else { return }
      taken.append((try? world.twins().count) ?? -1)
    }
    let report = try #require(try world.migrate())
    #expect(taken == [0, 0, 0])
    let after = report.volumes.compactMap(\.takenAfterMilliseconds)
    #expect(after.count == 3 && after.min() == 0)
  }

  @Test("a snapshot is immutable when the target first hears of it, and stays so as a twin")
  func immutable() throws {
    let world = try World.written(1)
    var wasWritable = false
    world.onRequest = { [unowned world] request in
      guard case .beginSession(let begin) = request else { return }
      let path = world.source.layout.snapshot(begin.volume, begin.snapshot).image
      if (try? world.source.disk.open(path, .readWrite)) != nil { wasWritable = true }
    }
    #expect(try world.migrate()?.state == .succeeded)
    #expect(!wasWritable)
    let twin = try #require(try world.twins().first)
    let error = #expect(throws: ReplError.self) { try world.source.disk.open(twin.imagePath, .readWrite) }
    #expect(error?.kind == .refused)
  }
}
