import AgentService
import ReplModel

extension AgentCore {
  /// Records what a Migration asks for and begins it. The same one asked for again is one run.
  ///
  /// - Throws: `.refused` without a pair, `.notFound` for a volume that is not of this agent.
  func start(_ request: MigrationRequest) throws(ReplError) {
    if let known = try database.read({ try RunRecord.find($0, uid: request.reference.uid) }) {
      if !known.state.isFinal { runs.submit(known) }
      return
    }
    guard
      let pair = try database.read({
        try PairRecord.find($0, namespace: request.pair.namespace, name: request.pair.name)
      })
    else {
      throw ReplError(
        .refused, subject: "clusterpair \(request.pair.namespace)/\(request.pair.name)", cause: "is not paired",
        remedy: "replctl pair create")
    }
    let record = try makeRecord(request, pair)
    try database.write { try record.save($0) }
    runs.submit(record)
  }

  private func makeRecord(_ request: MigrationRequest, _ pair: PairRecord) throws(ReplError) -> RunRecord {
    let ids = Array(Set(request.volumes)).sorted()
    guard !ids.isEmpty, ids.count <= Seal.memberLimit else {
      throw ReplError(
        .invalid, subject: "migration", cause: "has \(ids.count) volumes, 1 to \(Seal.memberLimit) may be")
    }
    var reports: [VolumeRunReport] = []
    var generations: [UInt64] = []
    for id in ids {
      guard let volume = try database.read({ try VolumeRecord.find($0, id) }) else {
        throw ReplError(.notFound, subject: "volume \(id)", cause: "is not a volume of this agent")
      }
      reports.append(VolumeRunReport(volume: id.description, namespace: volume.namespace, name: volume.name))
      generations.append(volume.nextGeneration)
    }
    let stored = StoredRunRequest(
      reference: request.reference, pair: pair.reference, volumes: ids, generations: generations,
      acceptShrink: request.acceptShrink, mode: pair.mode)
    return RunRecord(
      request: stored, peer: pair.peer, group: environment.random.identifier(), state: .running,
      report: MigrationReport(uid: request.reference.uid, state: .running, reason: "", volumes: reports),
      createdAt: clock.now())
  }
}
