import AgentService
import GRDB
import ReplModel
import Testing

@testable import ReplicationEngine

@Suite("A run takes over the group of another one only if all of it was taken after the run was asked for")
struct ReusableGroupTests {
  private let database: AgentDatabase
  private let volumes = [VolumeID.random(), VolumeID.random()]
  private let branch = Branch(epoch: 1, id: .random())

  init() throws { database = try AgentDatabase.inMemory() }

  /// Snapshots of all volumes that were sealed together, the clock saying what it likes.
  private func seal(_ generations: [UInt64], takenAt seconds: Int64, members: Int? = nil, group: GroupID = .random())
    throws
  {
    let manifest = (0..<(members ?? volumes.count)).map { _ in GroupMember(volume: .random(), size: 4096) }
    try database.write { database in
      for (volume, generation) in zip(volumes, generations) {
        let seal = Seal(
          point: .random(), volume: volume, lineage: .random(), branch: branch, base: nil, generation: generation,
          size: 4096, fingerprint: .zero, nonZeroBlocks: 0, takenAt: Timestamp(nanoseconds: seconds * 1_000_000_000),
          consistency: .volume, proof: .full, group: group, members: manifest)
        try SnapshotRecord(
          point: seal.point, volume: volume, peer: "site-b", generation: generation, size: 4096,
          takenAt: seal.takenAt, consistency: .volume, stallNanoseconds: 0, directory: "/d/\(seal.point)",
          hasImage: true, state: .sealed, seal: seal
        ).insert(database)
      }
    }
  }

  private func find(
    asked generations: [UInt64]?, at seconds: Int64, peer: String = "site-b", group: GroupID = .random()
  ) throws -> ReusableGroup? {
    let reference = ObjectReference(kind: "Migration", namespace: "shop", name: "m", uid: "m")
    let request = StoredRunRequest(
      reference: reference, pair: reference, volumes: volumes, generations: generations, acceptShrink: false,
      mode: .disasterRecovery)
    let record = RunRecord(
      request: request, peer: peer, group: group, state: .running,
      report: MigrationReport(uid: "m", state: .running, reason: "", volumes: []),
      createdAt: Timestamp(nanoseconds: seconds * 1_000_000_000))
    return try database.read { try ReusableGroup.find(for: record, $0) }
  }

  @Test("Snapshots taken before it was asked for are not, however far the clock went back since")
  func clockWentBack() throws {
    try seal([7, 3], takenAt: 2_000_000_000)
    #expect(try find(asked: [8, 4], at: 1_900_000_000) == nil)
  }

  @Test("Snapshots taken after it was asked for are, however far the clock went back meanwhile")
  func takenAfter() throws {
    try seal([7, 3], takenAt: 1_000_000_000)
    #expect(try find(asked: [7, 3], at: 2_000_000_000)?.seals.map(\.generation) == [7, 3])
  }

  @Test("One of its volumes taken before is one too many")
  func oneBefore() throws {
    try seal([7, 3], takenAt: 1_000_000_000)
    #expect(try find(asked: [7, 4], at: 0) == nil)
  }

  @Test("The group has to be whole, of these volumes, at this peer, and another run's")
  func otherGroups() throws {
    let group = GroupID.random()
    try seal([7, 3], takenAt: 0, group: group)
    #expect(try find(asked: [7, 3], at: 0, peer: "site-c") == nil)
    #expect(try find(asked: [7, 3], at: 0, group: group) == nil)
    #expect(try find(asked: nil, at: 0) == nil, "a run of a version that did not count")
    try seal([8, 4], takenAt: 0, members: 3)
    #expect(try find(asked: [8, 4], at: 0) == nil)
  }
}
